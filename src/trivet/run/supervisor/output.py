"""A process's output: the log that it writes straight into, and what the supervisor notes there."""

import contextlib
import os
from pathlib import Path

from trivet.run.enclosure import Place
from trivet.run.log_files import last_words


class Output:
    """The log of one process, from one start of it to the next."""

    __slots__ = ("_log", "_start")

    def __init__(self, log: Path) -> None:
        self._log = log
        self._start = 0

    def open(self, place: Place) -> int:
        """A descriptor to write to the log's end; what is written from now on is this start's. Raises: OSError."""
        log = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._start = os.fstat(log).st_size
        if place.user is not None:
            place.user.may_write(log)  # programs open /dev/stdout
        return log

    def last_words(self) -> tuple[str, ...]:
        """The last lines of this start."""
        return last_words(self._log, self._start)

    def tell(self, line: str) -> None:
        """The log ends with this line, and what stood there unfinished has an end of its own."""
        with contextlib.suppress(OSError):  # a full disk must not keep the process from being started again
            descriptor = os.open(self._log, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                unfinished = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
                os.write(descriptor, (("\n" if unfinished else "") + line).encode())
            finally:
                os.close(descriptor)
