"""Manifests: what pyproject.toml, uv.lock and requirements.txt say of an app's packages, read from their text."""

import posixpath
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trivet.errors import InvalidFile
from trivet.model.build_plan import SourceTree

_LOCAL_SOURCES = ("editable", "directory", "path", "virtual")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_INCLUDE = re.compile(r"(?:-r|-c|--requirement|--constraint)[ =]*(?P<path>\S+)")
_PINNED = re.compile(r"={2,3}\s*[^*,;\s]+\s*(?:;|--|$)|@\s*\S+(?:\.whl|\.tar\.gz|\.zip|@[0-9a-f]{40})")


@dataclass(frozen=True, slots=True)
class Project:
    """What a pyproject.toml says. `is_package`: uv builds and installs the project itself."""

    is_python: bool = False
    is_package: bool = False


@dataclass(frozen=True, slots=True)
class Packages:
    """What is to be installed: normalised names, those without a fixed version, and the files that say so.

    `are_local`: some of it comes from the source itself.
    """

    names: frozenset[str]
    files: tuple[str, ...]
    unpinned: tuple[str, ...] = ()
    are_local: bool = False


def read_project(tree: SourceTree) -> Project:
    """What the pyproject.toml says; `Project()` if there is none. Raises: InvalidFile."""
    data = _read_toml(tree, "pyproject.toml")
    tool = data.get("tool", {})
    uv = tool.get("uv", {})
    is_python = "project" in data or "poetry" in tool or "build-system" in data
    return Project(is_python, bool(uv.get("package", "build-system" in data)))


def read_uv_lock(tree: SourceTree) -> Packages:
    """What the uv.lock holds. https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile Raises: InvalidFile."""
    packages = _read_toml(tree, "uv.lock").get("package", [])
    local = any(package.get("source", {}).get(kind, ".") != "." for package in packages for kind in _LOCAL_SOURCES)
    present = tuple(name for name in ("uv.lock", "pyproject.toml", "uv.toml") if name in tree.files)
    return Packages(frozenset(normalise(package["name"]) for package in packages), present, are_local=local)


def read_requirements(tree: SourceTree, path: str) -> Packages:
    """What a requirements file asks for, those it includes as well.

    https://pip.pypa.io/en/stable/reference/requirements-file-format/
    """
    names, unpinned, local = set(), [], False
    files = list(_requirements_files(tree, path))
    for file in files:
        for line in _logical_lines(tree.read(file) or ""):
            if line.startswith("-"):
                local = local or line.startswith(("-e", "--editable"))
                continue
            match = _NAME.match(line)
            if match is None or "file:" in line or "/" in line.split("@")[0]:
                local = True
                continue
            names.add(normalise(match[0]))
            if not _PINNED.search(line):
                unpinned.append(match[0])
    present = tuple(name for name in ("pyproject.toml", "uv.toml") if name in tree.files)
    return Packages(frozenset(names), (*files, *present), tuple(unpinned), local)


def normalise(name: str) -> str:
    """The package's name as it is compared. https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirements_files(tree: SourceTree, path: str) -> Iterator[str]:
    seen, waiting = set(), [path]
    while waiting:
        current = waiting.pop()
        text = tree.read(current)
        if current in seen or text is None:
            continue
        seen.add(current)
        yield current
        for line in _logical_lines(text):
            if match := _INCLUDE.match(line):
                waiting.append(posixpath.normpath(posixpath.join(posixpath.dirname(current), match["path"])))


def _logical_lines(text: str) -> Iterator[str]:
    for raw in re.sub(r"\\\r?\n", " ", text.removeprefix("\ufeff")).splitlines():
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        if line:
            yield line


def _read_toml(tree: SourceTree, path: str) -> dict[str, Any]:
    text = tree.read(path)
    if text is None:
        return {}
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidFile(
            f"{path} cannot be read: {error}.",
            hint="Mend it and commit it. `uv lock` writes uv.lock anew.",
        ) from error
