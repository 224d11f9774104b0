"""Which builder a source is for."""

import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from trivet.build.builders import docker, go, node, php, procfile, python, ruby, rust, static
from trivet.errors import DetectionError
from trivet.model.build_plan import BuildPlan, SourceTree
from trivet.model.settings import Settings, invalid_setting, suggestion

_SYSTEM_PACKAGES = ("Aptfile", "apt.txt", "apt-packages.txt", "system-packages.txt")
_OF_STREAMLIT = ("packages.txt",)  # too common a name to mean anything elsewhere


class Builder(Protocol):
    """The one shape of a builder, which is a module."""

    NAME: str
    LOOKED_FOR: str

    def recognise(self, tree: SourceTree) -> bool:
        """Whether the source is for this builder."""

    def plan(self, tree: SourceTree, settings: Settings) -> BuildPlan:
        """What is to be done. Raises: LockfileError, DetectionError, InvalidFile."""


BUILDERS: Sequence[Builder] = (python, ruby, php, go, rust, node, static, procfile, docker)


class FolderTree:
    """A source as a builder sees it, from the app's folder in it."""

    def __init__(self, root: Path, folder: str = "") -> None:
        self._root, self._inside = root, folder
        app = root / folder
        self._files = tuple(
            sorted(path.relative_to(app).as_posix() for path in app.rglob("*") if path.is_symlink() or path.is_file())
        )

    @property
    def files(self) -> tuple[str, ...]:
        return self._files

    @property
    def above(self) -> str:
        return "/".join(".." for _ in self._inside.split("/")) if self._inside else ""

    @property
    def top(self) -> "FolderTree":
        return FolderTree(self._root)

    def read(self, path: str) -> str | None:
        name = posixpath.normpath(posixpath.join(self._inside, path))
        file = self._root / name
        if name.startswith(("/", "../")) or not file.is_file():  # no link of a source leads out of it
            return None
        return file.read_text(encoding="utf-8", errors="replace")


def choose_builder(tree: SourceTree, settings: Settings) -> Builder:
    """The builder that trivet.toml names, else the first that recognises the source. Raises: DetectionError, InvalidFile."""
    _refuse_system_packages(tree)
    if settings.build.builder is not None:
        return _with_output(tree, settings, _named(tree, settings.build.builder))
    for builder in BUILDERS:
        if builder.recognise(tree):
            return _with_output(tree, settings, builder)
    python_files = [path for path in tree.files if path.endswith(".py") and "/" not in path]
    advice = (
        "It looks like Python: list its packages in requirements.txt (an empty one will do) or `uv init` and `uv add` them."
        if python_files
        else "Add one of them, for example a Procfile with the line `web: ./YOUR-SERVER --port $PORT`."
    )
    looked_for = "".join(f"\n  - {builder.LOOKED_FOR}" for builder in BUILDERS)
    raise DetectionError(f"No builder recognises this source. Looked for:{looked_for}", hint=advice)


def _refuse_system_packages(tree: SourceTree) -> None:
    """A build has no root and its own folders only: what it took from the system would be missing where it runs."""
    name = next((name for name in _SYSTEM_PACKAGES if name in tree.files), None)
    if name is None and "streamlit" in (tree.read("requirements.txt") or ""):
        name = next((name for name in _OF_STREAMLIT if name in tree.files), None)
    if name is None:
        return
    listed = [line.strip() for line in (tree.read(name) or "").splitlines() if line.strip() and line.strip()[0] != "#"]
    shown = f": {', '.join(listed[:5])}{', …' if len(listed) > 5 else ''}" if listed else ""
    raise DetectionError(
        f"{name} asks for packages of the system{shown}. A build installs none, since it must run without root.",
        hint=f"Take them from the app's own dependencies where those have them (psycopg[binary] brings libpq, pillow its "
        f"libraries), or install them on the machine once (`apt-get install`). Then remove {name} from the commit, "
        f"or keep it out of builds with the line `{name} export-ignore` in .gitattributes.",
    )


def _with_output(tree: SourceTree, settings: Settings, builder: Builder) -> Builder:
    """The builder, which is one that serves files if the settings say where they are."""
    if settings.build.output is not None and builder is not static:
        raise invalid_setting(
            tree.read("trivet.toml") or "",
            ("build", "output"),
            f"output is for static files, and this is built as a {builder.NAME} app.",
            'Remove it, or set builder = "static" beside it.',
        )
    return builder


def _named(tree: SourceTree, name: str) -> Builder:
    for builder in BUILDERS:
        if name == builder.NAME:
            return builder
    raise invalid_setting(
        tree.read("trivet.toml") or "",
        ("build", "builder"),
        f"there is no builder {name!r}.",
        suggestion(name, [builder.NAME for builder in BUILDERS]),
    )
