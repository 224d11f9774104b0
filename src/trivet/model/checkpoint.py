"""Checkpoint: how many entries the ledger had, and the root of the hash tree over them."""

import re

from trivet.model.frozen import frozen

_SHORT = re.compile(r"\(?(?:ledger )?(0|[1-9][0-9]{0,17}):([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)\)?")


@frozen
class Checkpoint:
    """`root` is RFC 6962's, in base64: it fixes every byte of the first `size` entries."""

    size: int
    root: str

    @property
    def short(self) -> str:
        """As it is shown, and taken: `37:ck8…=`."""
        return f"{self.size}:{self.root}"


def parse_checkpoint(text: str) -> Checkpoint | None:
    """The checkpoint that was shown so, with or without the word `ledger` before it; None if it is none."""
    match = _SHORT.fullmatch(text.strip())
    return Checkpoint(int(match[1]), match[2]) if match else None
