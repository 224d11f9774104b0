"""Package: a package.json, and those of the source that belong together (workspaces, packages in folders)."""

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from trivet.build.node.text import read_yaml, strings
from trivet.errors import InvalidFile
from trivet.model.build_plan import SourceTree
from trivet.model.frozen import frozen

FILE = "package.json"
WORKSPACE_FILE = "pnpm-workspace.yaml"
PRODUCTION = ("dependencies", "optionalDependencies")
DEVELOPMENT = "devDependencies"

_BESIDE = re.compile(r"(?:file|link|portal):(?P<path>.+)")


@frozen
class Package:
    """One package.json and the folder it is in, "" for the top."""

    folder: str
    data: Mapping[str, Any]

    @property
    def path(self) -> str:
        return posixpath.join(self.folder, FILE)

    @property
    def scripts(self) -> Mapping[str, str]:
        return self.named("scripts")

    def named(self, field: str) -> Mapping[str, str]:
        """A field that maps names to texts; what is no text is left out, as npm does."""
        return strings(self.data.get(field))

    def dependencies(self, *kinds: str) -> Mapping[str, str]:
        """What the package asks for, by name."""
        return {name: spec for kind in kinds for name, spec in self.named(kind).items()}

    @property
    def beside(self) -> tuple[str, ...]:
        """The paths from the top of dependencies that are folders or archives of the source."""
        specs = self.dependencies(*PRODUCTION, DEVELOPMENT).values()
        found = (_BESIDE.fullmatch(spec) for spec in specs)
        return tuple(posixpath.normpath(posixpath.join(self.folder, match["path"])) for match in found if match)


def read_package(tree: SourceTree, folder: str = "") -> Package:
    """The package.json of a folder; an empty one if there is none. Raises: InvalidFile."""
    path = posixpath.join(folder, FILE)
    text = (tree.read(path) or "{}").removeprefix("\ufeff")
    try:
        data = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        raise InvalidFile(
            f"{path}:{line}: {getattr(error, 'msg', 'cannot be read')}.", hint="Mend it and commit it: it is JSON."
        ) from error
    if not isinstance(data, dict):
        raise InvalidFile(f"{path}:1: this is no package.json.", hint="`npm init` writes one.")
    return Package(folder, data)


def read_packages(tree: SourceTree) -> tuple[Package, ...]:
    """The package at the top, and those of the source that are installed with it. Raises: InvalidFile."""
    top = read_package(tree)
    packages = {"": top}
    waiting = [*_workspaces(tree, top), *top.beside]
    while waiting:
        folder = waiting.pop()
        if folder in packages or f"{folder}/{FILE}" not in tree.files:
            continue
        packages[folder] = read_package(tree, folder)
        waiting += packages[folder].beside
    return tuple(packages[folder] for folder in sorted(packages))


def _workspaces(tree: SourceTree, top: Package) -> Iterator[str]:
    """The folders of the workspaces. https://docs.npmjs.com/cli/using-npm/workspaces https://pnpm.io/pnpm-workspace_yaml"""
    listed = top.data.get("workspaces")
    patterns = listed.get("packages") if isinstance(listed, dict) else listed
    if WORKSPACE_FILE in tree.files:
        patterns = read_yaml(tree, WORKSPACE_FILE).get("packages")
    chosen = [pattern for pattern in patterns or () if isinstance(pattern, str)]
    wanted = [_glob(pattern) for pattern in chosen if not pattern.startswith("!")]
    refused = [_glob(pattern[1:]) for pattern in chosen if pattern.startswith("!")]
    for path in tree.files:
        folder, _, name = path.rpartition("/")
        if name != FILE or not folder or "node_modules" in folder.split("/"):
            continue
        if any(each.fullmatch(folder) for each in wanted) and not any(each.fullmatch(folder) for each in refused):
            yield folder


@lru_cache(maxsize=64)
def _glob(pattern: str) -> re.Pattern[str]:
    """A pattern of folders: `*` stands for anything in one name, `**` for any number of folders."""
    *folders, last = posixpath.normpath(pattern).split("/")
    texts = [r"(?:[^/]+/)*" if part == "**" else f"{_name(part)}/" for part in folders]
    return re.compile("".join(texts) + (".+" if last == "**" else _name(last)))


def _name(part: str) -> str:
    return re.escape(part).replace(r"\*", "[^/]*")
