"""Sources that are only text, and what the builders make of them: plans, process types, errors. No process, no file."""

from collections.abc import Mapping

import pytest

from trivet.build.detect import choose_builder
from trivet.build.processes import process_types
from trivet.errors import BuildError, TrivetError
from trivet.model.build_plan import BuildPlan
from trivet.model.settings import Settings, parse_settings


class Tree:
    """A source that is only text."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._texts = dict(files)

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(sorted(self._texts))

    def read(self, path: str) -> str | None:
        return self._texts.get(path)

    @property
    def above(self) -> str:
        return ""

    @property
    def top(self) -> "Tree":
        return self


def settings_of(files: Mapping[str, str]) -> Settings:
    """What the source's trivet.toml says."""
    return parse_settings(files.get("trivet.toml", ""))


def plan_of(files: Mapping[str, str]) -> BuildPlan:
    """The plan of the builder that is chosen for the source."""
    tree, settings = Tree(files), settings_of(files)
    return choose_builder(tree, settings).plan(tree, settings)


def processes_of(files: Mapping[str, str]) -> dict[str, str]:
    """The commands of the source's process types."""
    tree = Tree(files)
    return {process.name: process.command for process in process_types(tree, plan_of(files), settings_of(files))}


def error_of(files: Mapping[str, str], kind: type[TrivetError] = BuildError) -> tuple[str, str]:
    """What a person is told of a source that cannot be built: message and hint."""
    with pytest.raises(kind) as caught:
        processes_of(files)
    return caught.value.message, caught.value.hint
