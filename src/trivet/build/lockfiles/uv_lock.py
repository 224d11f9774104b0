"""uv.lock: https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile"""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from trivet.build.manifests import join, local_package, read_project, read_toml, within
from trivet.build.packages import Archive, Packages, normalise
from trivet.model.build_plan import SourceTree

NAME = "uv.lock"

_FOLDERS = ("editable", "directory")
_LOCAL = (*_FOLDERS, "virtual")

Entry = Mapping[str, Any]


def read(tree: SourceTree, root: str = "") -> Packages:
    """What the lockfile holds for the app; `root` is the folder of uv.lock as seen from the app's. Raises: InvalidFile."""
    entries: list[Entry] = read_toml(tree, join(root, NAME)).get("package", [])
    app = next((entry for entry in entries if _is_app(tree, entry, root)), None)
    reached = _Reached(entries)
    if app is not None:
        reached.add(app, surely=True)
    needed = [entry for entry in entries if id(entry) in reached.found]
    local = [entry for entry in needed if any(kind in entry.get("source", {}) for kind in _FOLDERS)]
    settings = [join(folder, name) for folder in dict.fromkeys((root, "")) for name in ("pyproject.toml", "uv.toml")]
    archives = [path for entry in needed if (path := entry.get("source", {}).get("path"))]
    files = (join(root, NAME), *settings, *(within(join(root, path)) for path in archives))
    return Packages(
        lockfile=NAME,
        names=frozenset(normalise(entry["name"]) for entry in needed if not _is_local(entry)),
        files=tuple(name for name in files if tree.read(name) is not None),
        local=tuple(local_package(tree, _folder(entry, root) or "", entry["name"]) for entry in local),
        archives=tuple(_archives(needed, reached)),
    )


@dataclass(slots=True)
class _Reached:
    """What the app needs: `found` by identity, and whether it is needed whatever the machine (`surely`)."""

    entries: list[Entry]
    found: dict[int, bool] = field(default_factory=dict)
    extras: set[tuple[int, str]] = field(default_factory=set)

    def add(self, entry: Entry, *, surely: bool, extras: tuple[str, ...] = ()) -> None:
        """The entry and all that it needs are among them."""
        waiting = [(entry, surely, extras)]
        while waiting:
            current, certain, asked = waiting.pop()
            new = [extra for extra in asked if (id(current), extra) not in self.extras]
            if self.found.get(id(current), False) >= certain and id(current) in self.found and not new:
                continue
            self.found[id(current)] = self.found.get(id(current), False) or certain
            self.extras.update((id(current), extra) for extra in new)
            waiting.extend(self._next(current, new, certain=certain))

    def _next(self, entry: Entry, extras: list[str], *, certain: bool) -> Iterator[tuple[Entry, bool, tuple[str, ...]]]:
        optional = entry.get("optional-dependencies", {})
        for needed in (*entry.get("dependencies", []), *(one for extra in extras for one in optional.get(extra, []))):
            matching = [other for other in self.entries if _is_meant(needed, other)]
            for other in matching:
                yield other, certain and "marker" not in needed and len(matching) == 1, tuple(needed.get("extra", ()))


def _is_meant(needed: Entry, entry: Entry) -> bool:
    if needed["name"] != entry["name"]:
        return False
    return all(needed[key] == entry.get(key) for key in ("version", "source") if key in needed)


def _is_app(tree: SourceTree, entry: Entry, root: str) -> bool:
    """Whether the entry is the app: a member of the workspace around it goes by its name."""
    if root:
        return _is_local(entry) and normalise(entry["name"]) == normalise(read_project(tree).name or "")
    return _folder(entry, root) == ""


def _folder(entry: Entry, root: str) -> str | None:
    """The folder of a package of the source as seen from the app's, "" for the app itself."""
    source = entry.get("source", {})
    path = next((source[kind] for kind in _LOCAL if kind in source), None)
    return None if path is None else within(posixpath.join(root, path))


def _is_local(entry: Entry) -> bool:
    return any(kind in entry.get("source", {}) for kind in _LOCAL)


def _archives(needed: list[Entry], reached: _Reached) -> Iterator[Archive]:
    for entry in needed:
        sdist = entry.get("sdist", {})
        if "url" in sdist:
            is_alone = not entry.get("wheels") and reached.found[id(entry)]
            hashes = (sdist["hash"],) if "hash" in sdist else ()
            yield Archive(normalise(entry["name"]), entry.get("version", ""), sdist["url"], hashes, is_alone)
