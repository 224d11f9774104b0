"""Checked: a build on record, beside one that was made again from the same commit."""

from dataclasses import dataclass

from trivet.model.build import Build
from trivet.model.frozen import frozen


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """A path in a layer, and what differs there: "content", "mode", "kind", "missing" or "added" in the build made again.

    Without a layer, it is about the build itself.
    """

    layer: str
    path: str
    what: str


@frozen
class Checked:
    """The build on record, and what differs from it in the build that was made again: nothing if it is the same."""

    build: Build
    differences: tuple[Difference, ...]
