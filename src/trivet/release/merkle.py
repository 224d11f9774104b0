"""The hash tree over the ledger's entries, as RFC 6962 has it, kept in the form that grows without being read.

A tree of n leaves is told by its peaks: the roots of the complete subtrees that it consists of, the largest first, one for
each bit of n that is set, put together as bytes. One more leaf needs the peaks alone, and so does the root.
https://www.rfc-editor.org/rfc/rfc6962#section-2.1
"""

import hashlib

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
    parts = [peaks[start : start + HASH_BYTES] for start in range(0, len(peaks), HASH_BYTES)]
    top = parts.pop()
    while parts:
        top = node_hash(parts.pop(), top)
    return top
