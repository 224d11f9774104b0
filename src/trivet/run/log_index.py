"""When which part of a log was written: beside `v12.web.1.log` lies `v12.web.1.log.index`, a row per burst.

A row is (seconds since the epoch, size of the log in bytes), 16 bytes: what lies before `size` was written by then. So
processes write straight into their logs, and lines of several can still be merged by time, to about 50 ms. Where the front
of a log was given back to the disk, that of its index was too: those rows read as zeros, which come before all others.
"""

import bisect
import os
import struct
import time
from pathlib import Path

from trivet.host import holes

_ROW = struct.Struct("<dQ")
_BEYOND_BYTES = 1 << 63


def index_path(log: Path) -> Path:
    """The index of a log."""
    return log.with_name(log.name + ".index")


def append(log: Path, size: int, at: float | None = None) -> None:
    """The index says that the log had this size at this moment (seconds since the epoch; None: now). Raises: OSError."""
    descriptor = os.open(index_path(log), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, _ROW.pack(time.time() if at is None else at, size))
    finally:
        os.close(descriptor)


class LogIndex:
    """The index of a log, as long as it was when it was opened; rows are read as they are asked for.

    `otherwise` is the time of what it does not reach yet. Use it as a context.
    """

    def __init__(self, log: Path, otherwise: float) -> None:
        try:
            self._descriptor = os.open(index_path(log), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._descriptor = -1
        self._count = os.fstat(self._descriptor).st_size // _ROW.size if self._descriptor >= 0 else 0
        self._otherwise = otherwise
        self._burst = (0, 0, 0.0)  # the one that was asked for last: from, to, when

    def __enter__(self) -> "LogIndex":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing more is asked."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self._count = -1, 0

    def at(self, offset: int) -> float:
        """When the byte at this offset was written, in seconds since the epoch; as exactly as is known."""
        start, end, at = self._burst
        if not start <= offset < end:
            self._burst = start, end, at = self._burst_of(offset)
        return at

    def first_since(self, at: float) -> int:
        """All that was written at this moment or later begins at this offset."""
        return self._begin_of(bisect.bisect_left(range(self._count + 1), at, key=lambda row: self._row(row)[0]))

    def first_after(self, at: float) -> int:
        """All that was written after this moment begins at this offset."""
        return self._begin_of(bisect.bisect_right(range(self._count + 1), at, key=lambda row: self._row(row)[0]))

    def middle(self) -> int:
        """What half of the rows that are kept are about lies before this offset."""
        first = self._first_beyond(0)
        return self._row((first + self._count) // 2)[1] if first < self._count else 0

    def cut(self, offset: int) -> None:
        """The rows of what lies before the offset take no room. Raises: OSError."""
        row = self._first_beyond(offset)
        if row:
            descriptor = os.open(f"/proc/self/fd/{self._descriptor}", os.O_RDWR | os.O_CLOEXEC)
            try:
                holes.punch(descriptor, row * _ROW.size)
            finally:
                os.close(descriptor)

    def _begin_of(self, row: int) -> int:
        return self._row(row - 1)[1] if row else 0

    def _burst_of(self, offset: int) -> tuple[int, int, float]:
        row = self._first_beyond(offset)
        at, end = self._row(row)
        return self._begin_of(row), end, at

    def _first_beyond(self, offset: int) -> int:
        return bisect.bisect_right(range(self._count), offset, key=lambda row: self._row(row)[1])

    def _row(self, row: int) -> tuple[float, int]:
        """The row; the one after the last holds whatever the others do not reach."""
        if row == self._count:
            return self._otherwise, _BEYOND_BYTES
        data = os.pread(self._descriptor, _ROW.size, row * _ROW.size)
        at, size = _ROW.unpack(data)
        return at, size
