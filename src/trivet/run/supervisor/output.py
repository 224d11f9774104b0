"""A process's output: the log that it writes straight into, and what the supervisor notes there."""

import contextlib
import os
from pathlib import Path

from trivet.run.enclosure import Place
from trivet.run.log_files import UNWAITING, last_words


class Words:
    """What one start of a process has written: from where on in its log, and up to where if there was a next one."""

    __slots__ = ("_begin", "_log", "end")

    def __init__(self, log: Path, begin: int) -> None:
        self._log = log
        self._begin = begin
        self.end: int | None = None

    def last(self) -> tuple[str, ...]:
        """The last lines of it."""
        return last_words(self._log, self._begin, self.end)


class Output:
    """The log of one process, from one start of it to the next: whose `words` those are that are written now."""

    __slots__ = ("_log", "words")

    def __init__(self, log: Path) -> None:
        self._log = log
        self.words = Words(log, 0)

    def open(self, place: Place) -> int:
        """A descriptor to write to the log's end; what is written from now on is this start's. Raises: OSError."""
        log = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | UNWAITING, 0o600)
        self.words.end = size = os.fstat(log).st_size
        self.words = Words(self._log, size)
        if place.user is not None:
            place.user.may_write(log)  # programs open /dev/stdout
        return log

    def tell(self, line: str) -> None:
        """The log ends with this line, and what stood there unfinished has an end of its own."""
        with contextlib.suppress(OSError):  # a full disk must not keep the process from being started again
            descriptor = os.open(self._log, os.O_RDWR | os.O_APPEND | os.O_CREAT | UNWAITING, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                unfinished = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
                os.write(descriptor, (("\n" if unfinished else "") + line).encode())
            finally:
                os.close(descriptor)
