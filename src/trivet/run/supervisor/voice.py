"""The supervisor's voice: what it writes to standard error, its log. That it cannot be heard is no trouble of its own.

On a full disk nothing can be written to the log. Whoever tells of that must not fail over it: a client waits for its answer.
"""

import contextlib
import io
import os

_ERROR_OUTPUT = 2


class Voice(io.TextIOBase):
    """A text file that writes through to standard error, as far as the machine lets it."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            os.write(_ERROR_OUTPUT, text.encode(errors="replace"))
        return len(text)
