"""What a verification of the ledger found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and with which entry; `number` is that of the release that the entry is about, if it is about one."""

    position: int
    reason: str
    app: str = ""
    deploy: str = ""
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """How many entries were read, and the first thing that is wrong, if anything is."""

    entries: int
    fault: Fault | None = None

    @property
    def first_bad(self) -> int | None:
        """The position of the first bad entry."""
        return self.fault.position if self.fault else None
