"""Which builder a source is for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from trivet.build.builders import go, php, procfile, python, ruby, rust, static
from trivet.errors import DetectionError
from trivet.model.build_plan import BuildPlan, SourceTree
from trivet.model.settings import Settings, invalid_setting, suggestion


class Builder(Protocol):
    """The one shape of a builder, which is a module."""

    NAME: str
    LOOKED_FOR: str

    def recognise(self, tree: SourceTree) -> bool:
        """Whether the source is for this builder."""

    def plan(self, tree: SourceTree, settings: Settings) -> BuildPlan:
        """What is to be done. Raises: LockfileError, DetectionError, InvalidFile."""


BUILDERS: Sequence[Builder] = (python, ruby, php, go, rust, static, procfile)


class FolderTree:
    """A folder as a builder sees it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = tuple(
            sorted(
                path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or path.is_file()
            )
        )

    @property
    def files(self) -> tuple[str, ...]:
        return self._files

    def read(self, path: str) -> str | None:
        if path not in self._files or not (self._folder / path).is_file():
            return None
        return (self._folder / path).read_text(encoding="utf-8", errors="replace")


def choose_builder(tree: SourceTree, settings: Settings) -> Builder:
    """The builder that trivet.toml names, else the first that recognises the source. Raises: DetectionError, InvalidFile."""
    if settings.build.builder is not None:
        return _named(tree, settings.build.builder)
    for builder in BUILDERS:
        if builder.recognise(tree):
            return builder
    python_files = [path for path in tree.files if path.endswith(".py") and "/" not in path]
    advice = (
        "It looks like Python: list its packages in requirements.txt (an empty one will do) or `uv init` and `uv add` them."
        if python_files
        else "Add one of them, for example a Procfile with the line `web: ./YOUR-SERVER --port $PORT`."
    )
    looked_for = "".join(f"\n  - {builder.LOOKED_FOR}" for builder in BUILDERS)
    raise DetectionError(f"No builder recognises this source. Looked for:{looked_for}", hint=advice)


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
