"""One log, read line by line from any offset onwards or from its end backwards; never more of it than is asked for.

A line counts once its newline is there. One that is longer than a megabyte is told in parts. Holes, which a program may
make as large as it likes, are left out.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from trivet.host import holes

_BLOCK_BYTES = 65536
_LONGEST_BYTES = 1024 * 1024

Placed = tuple[int, bytes]  # a line's offset, and the line with its newline


class LogReader:
    """A log as long as it was when it was opened. `start` is where what is kept of it begins, `end` where its lines end.

    Use it as a context. Raises: OSError (BlockingIOError: it `waits` for nothing, and the log's writer holds a lease).
    """

    def __init__(self, log: Path, *, waits: bool = True) -> None:
        self._descriptor = os.open(log, os.O_RDONLY | os.O_CLOEXEC | (0 if waits else os.O_NONBLOCK))
        try:
            state = os.fstat(self._descriptor)
            self.written_at = state.st_mtime
            self.start = holes.first_byte(self._descriptor)
            self.end = self._end_of_lines(state.st_size)
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> "LogReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing more is read."""
        os.close(self._descriptor)

    def begin_of_line(self, offset: int) -> int:
        """Where the first line begins that begins at this offset or later."""
        if offset <= self.start:
            return self.start
        first = next(self.lines(offset - 1, self.end), None) if offset < self.end else None
        return first[0] + len(first[1]) if first is not None else self.end

    def lines(self, start: int, end: int) -> Iterator[Placed]:
        """The lines from here to there, first one first. Both must be where lines begin, or end."""
        offset, rest = start, b""
        while offset + len(rest) < end:
            position = offset + len(rest)
            data = os.pread(self._descriptor, min(_BLOCK_BYTES, end - position), position)
            if not data:
                break
            if not data.lstrip(b"\0"):
                yield from _told_before_hole(offset, rest)
                offset, rest = holes.first_byte(self._descriptor, position), b""
                continue
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield offset, line + b"\n"
                offset += len(line) + 1
            if len(rest) >= _LONGEST_BYTES:
                yield offset, rest
                offset, rest = offset + len(rest), b""
        if rest:
            yield offset, rest

    def lines_back(self, start: int, end: int) -> Iterator[Placed]:
        """The lines from there back to here, last one first."""
        position, rest = end, b""  # of the line whose begin is not found yet, the part that begins at `position`
        while position > start:
            step = min(_BLOCK_BYTES, position - start)
            position -= step
            data = os.pread(self._descriptor, step, position)
            if not data.lstrip(b"\0"):
                yield from _told_before_hole(position + step, rest)
                position, rest = holes.end_of_data(self._descriptor, start, position), b""
                continue
            rest, *lines = _split(data + rest)
            offset = position + len(rest) + sum(map(len, lines))
            for line in reversed(lines):
                offset -= len(line)
                yield offset, line
            if len(rest) >= _LONGEST_BYTES:
                yield position, rest
                rest = b""
        if rest:
            yield position, rest

    def _end_of_lines(self, size: int) -> int:
        position = size
        while position > max(self.start, size - _LONGEST_BYTES):
            step = min(_BLOCK_BYTES, position - self.start)
            position -= step
            place = os.pread(self._descriptor, step, position).rfind(b"\n")
            if place >= 0:
                return position + place + 1
        return self.start if size - self.start < _LONGEST_BYTES else size


def _told_before_hole(offset: int, rest: bytes) -> Iterator[Placed]:
    if rest.strip(b"\0"):
        yield offset, rest


def _split(data: bytes) -> list[bytes]:
    """The lines with their newlines; the last may have none. Never empty. (`splitlines` would split at CR too.)"""
    *lines, last = data.split(b"\n")
    whole = [line + b"\n" for line in lines]
    return [*whole, last] if last or not whole else whole
