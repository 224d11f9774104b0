"""Intents: what a change of what runs is about to do, written before each step; and what is made of one found later.

Whoever starts next finishes what had shifted and undoes what had not.
"""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from trivet.host import files
from trivet.model.document import write_document
from trivet.model.frozen import frozen
from trivet.model.run import Address
from trivet.run import documents


class Phase(StrEnum):
    """STARTING: nothing that ran before was touched. CLEARING: of the old, what must not run beside its successor ends.
    REPLACING: those successors start. SHIFTING: the new is to serve. WATCHING: it does; the old is kept to go back to.
    SHIFTED: the old ends. REVERTING: the old is to serve again.
    """

    STARTING = "starting"
    CLEARING = "clearing"
    REPLACING = "replacing"
    SHIFTING = "shifting"
    WATCHING = "watching"
    SHIFTED = "shifted"
    REVERTING = "reverting"


@frozen
class Intent:
    """A change in flight: `release` is to run; `starts` and `drops` name the processes (`Status.name`) concerned.

    `recorded` says whether its end is kept in run/rollouts. `address` is where the deploy is reached afterwards.
    `before` is the release that ran when it began, `address_before` where it was reached. `reason`: why it is taken back.
    """

    release: int
    before: int | None
    phase: Phase
    recorded: bool
    starts: tuple[str, ...]
    drops: tuple[str, ...]
    began_at: str
    address: Address | None = None
    address_before: Address | None = None
    reason: str = ""

    @property
    def replaces(self) -> bool:
        """Whether another release is to make way: one that can be gone back to."""
        return bool(self.drops) and self.before not in (None, self.release)


@frozen
class Recovery:
    """What to make of the processes that are found: `keep` is to run on, `drop` to end."""

    keep: tuple[str, ...]
    drop: tuple[str, ...]


_UNDONE = frozenset((Phase.STARTING, Phase.CLEARING, Phase.REPLACING, Phase.REVERTING))


def finishes(intent: Intent | None, found: Iterable[str]) -> bool:
    """Whether the change is finished; else it is undone. `found` are the processes that run, and serve if they are to. Pure.

    A release counts once it was watched. One that was to be is finished if all of it serves already, or some of it runs and
    nothing of the old does; after a reboot nothing does, and the old is what is known to be good.
    """
    if intent is None or intent.phase in _UNDONE:
        return False
    if intent.phase is Phase.SHIFTED or not intent.replaces:
        return True
    there = frozenset(found)
    if intent.phase is Phase.WATCHING and there.issuperset(intent.starts):
        return True
    return there.isdisjoint(intent.drops) and not there.isdisjoint(intent.starts)


def recover(intent: Intent | None, found: Iterable[str], wanted: Iterable[str], *, finish: bool) -> Recovery:
    """Pure. `found` are the processes that run (`Status.name`), `wanted` those of the release that is to run.

    Wanted are plain names (`v12.web.1`); a found one may have a turn (`v12.web.1+1`), and of two only one is kept.
    """
    condemned: frozenset[str] = frozenset()
    if intent is not None:
        condemned = frozenset(intent.drops if finish else intent.starts)
    missing = set(wanted)
    keep: list[str] = []
    drop: list[str] = []
    for name in found:
        plain = name.partition("+")[0]
        if name in condemned or plain not in missing:
            drop.append(name)
        else:
            missing.remove(plain)
            keep.append(name)
    return Recovery(tuple(keep), tuple(drop))


def write(path: Path, intent: Intent) -> None:
    """The intent is on disk. Raises: MachineError."""
    files.replace(path, write_document(intent).encode())


def read(path: Path) -> Intent | None:
    """The intent that somebody left; None if nothing was in flight. Raises: InvalidDocument, MachineError."""
    return documents.read(Intent, path, name="run/intent.json")
