"""Pruning: what of the builds is kept in which form, and what that frees."""

from dataclasses import dataclass
from enum import StrEnum

from trivet.model.frozen import frozen
from trivet.model.names import AppName
from trivet.model.text import size


class BuildState(StrEnum):
    """READY: a build's layers are checked out. STORED: they can be. PRUNED: only its record is left."""

    READY = "ready"
    STORED = "stored"
    PRUNED = "pruned"


@dataclass(frozen=True, slots=True, order=True)
class BuildName:
    """One build of one app."""

    app: AppName
    id: str


@frozen
class Keep:
    """What must be kept: the builds of `ready` as they are, those of `fixed` at least stored.

    Those of `released`, the newest first, are stored too, as long as all that is kept stays within `budget_bytes` (None:
    no bound). Whatever else was made before `since` (seconds since the epoch) is pruned.
    """

    ready: frozenset[BuildName]
    fixed: frozenset[BuildName]
    released: tuple[BuildName, ...]
    budget_bytes: int | None = None
    since: float = 0.0


@frozen
class Change:
    """What becomes of a build, and how much of the disk only that frees; `commit` and `subject` tell which it is."""

    build: BuildName
    commit: str
    subject: str
    state: BuildState
    freed_bytes: int


@frozen
class Pruned:
    """The builds that lose something, and what is freed beside: what no build consists of any more, and old downloads."""

    changes: tuple[Change, ...] = ()
    leftovers_bytes: int = 0

    @property
    def freed_bytes(self) -> int:
        return sum(change.freed_bytes for change in self.changes) + self.leftovers_bytes

    @property
    def told(self) -> str:
        """How many builds lost something, and how much that freed, in one line."""
        count = len(self.changes)
        what = "1 build" if count == 1 else f"{count} builds" if count else "leftovers"
        return f"{what}: {size(self.freed_bytes)} freed"
