"""When which part of a log was written: beside `v12.web.1.log` lies `v12.web.1.log.index`, a row per burst.

A row is (seconds since the epoch, size of the log in bytes), 16 bytes: what lies before `size` was written by then. So
processes write straight into their logs, and lines of several can still be merged by time, to about 50 ms.
"""

import bisect
import os
import struct
import time
from collections.abc import Sequence
from pathlib import Path

_ROW = struct.Struct("<dQ")


def index_path(log: Path) -> Path:
    """The index of a log."""
    return log.with_name(log.name + ".index")


def append(log: Path, size: int, at: float | None = None) -> None:
    """The index says that the log had this size at this moment (seconds since the epoch; None: now)."""
    descriptor = os.open(index_path(log), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, _ROW.pack(time.time() if at is None else at, size))
    finally:
        os.close(descriptor)


class LogIndex:
    """The index as it was when it was read."""

    def __init__(self, rows: Sequence[tuple[float, int]], otherwise: float) -> None:
        self._sizes = [size for _, size in rows]
        self._times = [at for at, _ in rows]
        self._otherwise = otherwise

    def at(self, offset: int) -> float:
        """When the byte at this offset was written, in seconds since the epoch; as exactly as is known."""
        place = bisect.bisect_right(self._sizes, offset)
        return self._times[place] if place < len(self._times) else self._otherwise


def read_index(log: Path, otherwise: float) -> LogIndex:
    """The log's index; `otherwise` is the time of what it does not reach yet."""
    try:
        data = index_path(log).read_bytes()
    except FileNotFoundError:
        data = b""
    whole = len(data) - len(data) % _ROW.size
    return LogIndex(list(_ROW.iter_unpack(data[:whole])), otherwise)
