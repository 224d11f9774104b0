"""The hash tree over the ledger's entries, as RFC 6962 has it, kept in the form that grows without being read.

A tree of n leaves is told by its peaks: the roots of the complete subtrees that it consists of, the largest first, one for
each bit of n that is set, put together as bytes. One more leaf needs the peaks alone, and so does the root.
https://www.rfc-editor.org/rfc/rfc6962#section-2.1
"""

import hashlib
from collections.abc import Callable

Log = Callable[[int], tuple[bytes, bytes]]
"""Tells the hash of the leaf at a position, counted from 1, and the peaks after it."""

HASH_BYTES = 32
NO_PEAKS = b""
_LEAF, _NODE = b"\x00", b"\x01"


def leaf_hash(content: bytes) -> bytes:
    """The hash of a leaf with this content."""
    return hashlib.sha256(_LEAF + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of what has these two below it."""
    return hashlib.sha256(_NODE + left + right).digest()


def grow(peaks: bytes, size: int, leaf: bytes) -> bytes:
    """The peaks once the hash of another leaf is put behind the `size` leaves that they stand for."""
    while size & 1:
        leaf = node_hash(peaks[-HASH_BYTES:], leaf)
        peaks = peaks[:-HASH_BYTES]
        size >>= 1
    return peaks + leaf


def root(peaks: bytes) -> bytes:
    """The root of the tree: RFC 6962's Merkle Tree Hash, of no leaf too."""
    if not peaks:
        return hashlib.sha256().digest()
    top = peaks[-HASH_BYTES:]
    for end in range(len(peaks) - HASH_BYTES, 0, -HASH_BYTES):
        top = node_hash(peaks[end - HASH_BYTES : end], top)
    return top


def audit_path(log: Log, index: int, size: int) -> tuple[bytes, ...]:
    """The hashes that lead from leaf `index` (from 0) to the root of the tree of the first `size` leaves, its sibling first.

    RFC 6962, section 2.1.1. Of a log of n leaves log² n are asked for.
    """
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_root(log, middle, end))
            end = middle
        else:
            path.append(_root(log, start, middle))
            start = middle
    return tuple(reversed(path))


def root_by_path(leaf: bytes, index: int, size: int, path: tuple[bytes, ...]) -> bytes | None:
    """The root of the tree of `size` leaves in which this path leads up from the leaf; None if none can be so.

    RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size:
        return None
    last, top = size - 1, leaf
    for each in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            top = node_hash(each, top)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            top = node_hash(top, each)
        index, last = index >> 1, last >> 1
    return top if last == 0 else None


def _root(log: Log, start: int, end: int) -> bytes:
    """The root over the leaves from `start` up to `end`, as the definition splits them.

    Of a complete subtree that is a left half it is the last peak after its last leaf: nothing was put on top of it yet.
    """
    count = end - start
    if count & (count - 1) == 0 and start % (2 * count) == 0:
        return log(end)[1][-HASH_BYTES:]
    if count == 1:
        return log(end)[0]
    middle = start + _split(count)
    return node_hash(_root(log, start, middle), _root(log, middle, end))


def _split(count: int) -> int:
    """The largest power of two below the count."""
    return 1 << (count - 1).bit_length() - 1
