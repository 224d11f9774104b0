"""What a verification of the ledger found."""

from trivet.model.checkpoint import Checkpoint
from trivet.model.frozen import frozen


@frozen
class Fault:
    """What is wrong, and which entry is the first bad one (None: none is known to be).

    `number` is that of the release that it is about, if it is about one.
    """

    position: int | None
    reason: str
    app: str = ""
    deploy: str = ""
    number: int | None = None


@frozen
class Verification:
    """What was read, as far as it is good, and the first thing that is wrong, if anything is."""

    checkpoint: Checkpoint
    fault: Fault | None = None

    @property
    def first_bad(self) -> int | None:
        """The position of the first bad entry."""
        return self.fault.position if self.fault else None
