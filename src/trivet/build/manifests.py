"""Manifests: what a pyproject.toml says of a project, read from its text."""

import posixpath
import tomllib
from typing import Any

from trivet.build.packages import LocalPackage, normalise
from trivet.errors import InvalidFile
from trivet.model.build_plan import SourceTree
from trivet.model.frozen import frozen

_MENDED_BY = {"uv.lock": "uv lock", "poetry.lock": "poetry lock"}
_LEGACY = ("setuptools>=40.8.0",)  # what PEP 517 says of a project without [build-system]

# What some backends ask for only when they run: it has to be there before, since then there is no network.
_ASKED_FOR_LATER = {"setuptools": ("wheel",), "scikit-build-core": ("cmake", "ninja"), "meson-python": ("ninja",)}


@frozen
class Project:
    """What a pyproject.toml says. `is_package`: uv builds and installs the project itself.

    `requires_python` are the versions that suit, "" if all do.
    """

    is_python: bool = False
    is_package: bool = False
    name: str | None = None
    requires_python: str = ""


def read_project(tree: SourceTree, folder: str = "") -> Project:
    """What the pyproject.toml of the folder says; `Project()` if there is none. Raises: InvalidFile."""
    data = read_toml(tree, join(folder, "pyproject.toml"))
    tool = data.get("tool", {})
    uv = tool.get("uv", {})
    is_python = "project" in data or "poetry" in tool or "build-system" in data
    name = data.get("project", {}).get("name") or tool.get("poetry", {}).get("name")
    wanted = data.get("project", {}).get("requires-python")
    is_package = bool(uv.get("package", "build-system" in data))
    return Project(is_python, is_package, name, wanted if isinstance(wanted, str) else "")


def local_package(tree: SourceTree, folder: str, name: str) -> LocalPackage:
    """The package in the folder, with what building it needs. Raises: InvalidFile."""
    data = read_toml(tree, join(folder, "pyproject.toml"))
    requires = build_requires(data)
    more = data.get("tool", {}).get("uv", {}).get("extra-build-dependencies", {}).get(name, [])
    return LocalPackage(normalise(name), folder, (*requires, *(text for text in more if isinstance(text, str))))


def build_requires(pyproject: dict[str, Any]) -> tuple[str, ...]:
    """What building a project needs. https://packaging.python.org/en/latest/specifications/pyproject-toml/"""
    requires = tuple(pyproject.get("build-system", {}).get("requires", _LEGACY))
    return (*requires, *(more for name, tools in _ASKED_FOR_LATER.items() if _names(requires, name) for more in tools))


def read_toml(tree: SourceTree, path: str) -> dict[str, Any]:
    """The file's content; {} if there is none. Raises: InvalidFile."""
    text = tree.read(path)
    if text is None:
        return {}
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidFile(
            f"{path} cannot be read: {error}.",
            hint=f"Mend it and commit it.{_anew(path)}",
        ) from error


def join(folder: str, name: str) -> str:
    """The path of a file in a folder, "" being the top."""
    return f"{folder}/{name}" if folder else name


def within(path: str) -> str:
    """The path without detours, "" for the folder itself."""
    plain = posixpath.normpath(path)
    return "" if plain == "." else plain


def _anew(path: str) -> str:
    name = path.rpartition("/")[2]
    return f" `{_MENDED_BY[name]}` writes {path} anew." if name in _MENDED_BY else ""


def _names(requires: tuple[str, ...], name: str) -> bool:
    return any(normalise(text).startswith(name) for text in requires)
