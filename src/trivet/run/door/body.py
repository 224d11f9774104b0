"""Bodies as they pass: each framer is fed what arrives and says what belongs to the body and what comes after.

`take(data)` gives (what may be passed on, what is left over); `done` is True once the body is whole. RFC 9112 §6, §7.
"""

import re

from trivet.run.door.grammar import FIELD_LINE, TEXT
from trivet.run.door.refusal import Refusal

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})((?:[ \t]*+;" + TEXT + rb")?)\r\n")
_TRAILER = re.compile(FIELD_LINE)
_NOT_IN_TRAILERS = re.compile(
    rb"(?:content-length|transfer-encoding|host|connection|upgrade|te|trailer|forwarded|x[-_]forwarded[-_].*):",
    re.IGNORECASE,
)
_LONGEST_LINE = 4096
_MOST_TRAILER_BYTES = 16384
_SIZE, _DATA_END, _TRAILERS = range(3)


class Fixed:
    """A body of so many bytes."""

    __slots__ = ("done", "left")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0

    def take_all(self, count: int) -> bool:
        """Whether the body has room for so many bytes more; then they belong to it."""
        if count > self.left:
            return False
        self.left -= count
        self.done = self.left == 0
        return True

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        left = self.left - len(data)
        if left > 0:
            self.left = left
            return data, b""
        end = self.left
        self.left = 0
        self.done = True
        return (data, b"") if left == 0 else (data[:end], data[end:])


class UntilClose:
    """An answer's body that ends where the backend closes."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        return data, b""


class Chunked:
    """A body in chunks, passed on chunk by chunk as it came, without chunk extensions.

    No byte of a size line or a trailer is passed on before the line is whole and valid. `take` raises: Refusal.
    """

    __slots__ = ("_expects", "_left", "_line", "_trailer_bytes", "done")

    def __init__(self) -> None:
        self.done = False
        self._expects = _SIZE
        self._left = 0
        self._line = b""
        self._trailer_bytes = 0

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        pieces: list[bytes] = []
        position = 0
        while position < len(data) and not self.done:
            if self._left:
                piece = data[position : position + self._left]
                self._left -= len(piece)
                position += len(piece)
            elif self._expects == _SIZE and not self._line and (end := _take_whole(data, position, pieces)) > position:
                position = end
                continue
            else:
                position, piece = self._take_line(data, position)
            pieces.append(piece)
        return b"".join(pieces), data[position:]

    def _take_line(self, data: bytes, start: int) -> tuple[int, bytes]:
        end = data.find(b"\n", start)
        stop = len(data) if end < 0 else end + 1
        self._line += data[start:stop]
        if len(self._line) > _LONGEST_LINE:
            raise Refusal(400, "A chunk's size line or a trailer is too long.")
        if end < 0:
            return stop, b""
        line, self._line = self._line, b""
        return stop, self._check_line(line)

    def _check_line(self, line: bytes) -> bytes:
        if self._expects == _SIZE:
            return self._begin_chunk(line)
        if self._expects == _TRAILERS:
            return self._check_trailer(line)
        if line != b"\r\n":
            raise Refusal(400, "A chunk is not as long as its size says.")
        self._expects = _SIZE
        return line

    def _begin_chunk(self, line: bytes) -> bytes:
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise Refusal(400, "A chunk's size cannot be read.")
        self._left = int(match[1], 16)
        self._expects = _DATA_END if self._left else _TRAILERS
        return match[1] + b"\r\n" if match[2] else line

    def _check_trailer(self, line: bytes) -> bytes:
        self._trailer_bytes += len(line)
        if line == b"\r\n":
            self.done = True
        elif not _TRAILER.fullmatch(line) or _NOT_IN_TRAILERS.match(line):
            raise Refusal(400, "A trailer field breaks the rules of RFC 9112.")
        elif self._trailer_bytes > _MOST_TRAILER_BYTES:
            raise Refusal(400, "The trailers are too large.")
        return line


def _take_whole(data: bytes, start: int, pieces: list[bytes]) -> int:
    """Where the chunks end that are whole from here on and as they must be; what passes of them is added to the pieces.

    In one loop without a call for each: a client may send chunks of one byte. The rest, and all that is odd, is read line
    by line.
    """
    position = since = start
    while (match := _SIZE_LINE.match(data, position)) is not None:
        line_end = match.end()
        end = line_end + int(match[1], 16)
        if end == line_end or line_end - position > _LONGEST_LINE or data[end : end + 2] != b"\r\n":
            break
        if match[2]:
            pieces.append(data[since : match.end(1)])
            since = line_end - 2
        position = end + 2
    pieces.append(data[since:position])
    return position


Body = Fixed | UntilClose | Chunked
