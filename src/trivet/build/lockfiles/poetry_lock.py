"""poetry.lock, as Poetry 2 writes it: https://python-poetry.org/docs/basic-usage/ (decision 0007).

What decides that it fits its pyproject.toml is in Poetry's `packages/locker.py`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from trivet.build.manifests import local_package, read_toml
from trivet.build.packages import Archive, LocalPackage, Packages, normalise
from trivet.errors import LockfileError
from trivet.model.build_plan import SourceTree

NAME = "poetry.lock"

_AGAIN = "Run `poetry lock` and commit poetry.lock."
_PROJECT_KEYS = ("requires-python", "dependencies", "optional-dependencies")
_LEGACY_KEYS = ("dependencies", "source", "extras", "dev-dependencies")

Entry = Mapping[str, Any]


def read(tree: SourceTree) -> Packages:
    """What the lockfile holds for the app. Raises: InvalidFile, LockfileError if it does not match its manifest."""
    lock, manifest = read_toml(tree, NAME), read_toml(tree, "pyproject.toml")
    metadata = lock.get("metadata", {})
    if tuple(str(metadata.get("lock-version", "")).split(".")) < ("2", "1"):
        raise LockfileError(
            "poetry.lock is of a Poetry before 2.0, and does not say what is for which group.", hint=_AGAIN
        )
    if metadata.get("content-hash") not in (content_hash(manifest), content_hash(manifest, with_groups=False)):
        raise LockfileError("poetry.lock does not match its manifest.", hint=_AGAIN)
    needed = [entry for entry in lock.get("package", []) if "main" in entry["groups"] and not entry.get("optional")]
    listed = [entry for entry in needed if not _is_folder(entry)]
    lines = [_line(entry) for entry in listed]
    return Packages(
        lockfile=NAME,
        names=frozenset(normalise(entry["name"]) for entry in listed),
        files=(NAME, "pyproject.toml"),
        local=tuple(_local(tree, needed, manifest)),
        archives=tuple(_archives(listed)),
        requirements="".join(f"{line}\n" for line in (*_indexes(needed), *lines)),
        all_hashed=all("--hash" in line for line in lines),
    )


def content_hash(manifest: Mapping[str, Any], *, with_groups: bool = True) -> str:
    """What poetry.lock says of the pyproject.toml that it was made from."""
    poetry = manifest.get("tool", {}).get("poetry", {})
    groups = manifest.get("dependency-groups", {}) if with_groups else {}
    project = {key: value for key in _PROJECT_KEYS if (value := manifest.get("project", {}).get(key)) is not None}
    is_legacy = not project and not groups
    keys = [key for key in (*_LEGACY_KEYS, "group") if poetry.get(key) is not None or (is_legacy and key != "group")]
    own = {key: poetry.get(key) for key in keys}
    relevant: dict[str, Any] = {}
    if project:
        relevant["project"] = project
    if groups:
        relevant["dependency-groups"] = groups
    content = {**relevant, "tool": {"poetry": own}} if relevant else own
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _line(entry: Entry) -> str:
    source = entry.get("source", {})
    if source.get("type") not in (None, "legacy"):
        raise LockfileError(
            f"poetry.lock takes {entry['name']} from {source.get('url', 'elsewhere')!r}, not from an index.",
            hint="Name a package of an index with its version, or put its code into a folder of the source.",
        )
    marker = _marker(entry)
    hashes = "".join(f" --hash={file['hash']}" for file in entry.get("files", []))
    return f"{entry['name']}=={entry['version']}{f' ; {marker}' if marker else ''}{hashes}"


def _marker(entry: Entry) -> str:
    markers = entry.get("markers", "")
    return str(markers.get("main", "")) if isinstance(markers, dict) else str(markers)


def _indexes(needed: list[Entry]) -> Iterator[str]:
    sources = (entry.get("source", {}) for entry in needed)
    yield from dict.fromkeys(f"--extra-index-url {one['url']}" for one in sources if one.get("type") == "legacy")


def _archives(listed: list[Entry]) -> Iterator[Archive]:
    for entry in listed:
        names = {file["file"]: file["hash"] for file in entry.get("files", [])}
        sources = tuple(digest for name, digest in names.items() if not name.endswith(".whl"))
        if sources:
            is_alone = len(sources) == len(names) and not _marker(entry)
            yield Archive(normalise(entry["name"]), entry["version"], hashes=sources, is_alone=is_alone)


def _local(tree: SourceTree, needed: list[Entry], manifest: Mapping[str, Any]) -> Iterator[LocalPackage]:
    for entry in filter(_is_folder, needed):
        yield local_package(tree, entry["source"]["url"], entry["name"])
    poetry = manifest.get("tool", {}).get("poetry", {})
    name = manifest.get("project", {}).get("name") or poetry.get("name")
    if name and "build-system" in manifest and poetry.get("package-mode", True) and _has_code(tree, name, poetry):
        yield local_package(tree, "", name)


def _has_code(tree: SourceTree, name: str, poetry: Mapping[str, Any]) -> bool:
    """Whether there is what Poetry would put into a package; without, it is a list of dependencies only."""
    module = normalise(name).replace("-", "_")
    starts = (f"{module}/", f"src/{module}/")
    return "packages" in poetry or any(path.startswith(starts) or path == f"{module}.py" for path in tree.files)


def _is_folder(entry: Entry) -> bool:
    return bool(entry.get("source", {}).get("type") == "directory")
