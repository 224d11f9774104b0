"""The parts of RFC 9112's grammar that requests, responses and trailers share, as patterns over bytes.

All repeats are possessive: a match takes linear time, whatever a client sends.
"""

import re
from collections.abc import Iterable, Mapping

MOST_HEAD_BYTES = 65536
HEAD_END = b"\r\n\r\n"

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
TEXT = rb"[\t\x20-\x7e\x80-\xff]*+"
FIELD_LINE = TOKEN + b":" + TEXT + rb"\r\n"

# What can never become a valid head: bare CR or LF, other control characters. Seen before the head is complete,
# a client with line feeds alone is told at once instead of being waited for.
_NEVER = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n|\Z)")
_MOST_DIGITS = 18
_FIELD = re.compile(rb"\r\n([^:\r]++):[^\r]*+")


def breaks_a_head(data: bytes, start: int) -> bool:
    """Whether the bytes from `start` on hold what no head may hold; a CR at the very end may still get its LF."""
    return _NEVER.search(data, start) is not None


def parse_length(value: bytes) -> int | None:
    """The Content-Length, or None if it is not one plain number (signs, lists, spaces, over 18 digits)."""
    return int(value) if value.isdigit() and len(value) <= _MOST_DIGITS else None


def tokens(value: bytes) -> list[bytes]:
    """The members of a comma-separated list, in lower case, without empty ones."""
    return [token for part in value.lower().split(b",") if (token := part.strip(b" \t"))]


def without(head: bytes, cuts: list[tuple[int, int]]) -> bytes:
    """The head without these spans and without its last line end, so that fields can be added."""
    if not cuts:
        return head[:-2]
    if len(cuts) == 1:
        start, end = cuts[0]
        return head[:start] + head[end:-2]
    pieces = []
    position = 0
    for start, end in cuts:
        pieces.append(head[position:start])
        position = end
    pieces.append(head[position:-2])
    return b"".join(pieces)


def spans_of(head: bytes, names: Iterable[bytes]) -> list[tuple[int, int]]:
    """Where the fields of these names, in lower case, stand: from the line end before each to its last byte.

    No pattern is made of the names, which a client may choose: `re` would keep hundreds of them, and try each at each field.
    """
    wanted = frozenset(names)
    return [match.span() for match in _FIELD.finditer(head) if match[1].lower() in wanted]


def joined(values: Mapping[bytes, list[bytes]]) -> dict[bytes, bytes]:
    """The fields that are there more than once as one list each: RFC 9110 §5.3."""
    return {name: b", ".join(several) for name, several in values.items()}
