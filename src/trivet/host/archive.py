"""Archive: members as one stream of bytes, a gzipped tar that every tar opens; written and read piece by piece.

The reader trusts nothing: it knows folders, regular files and symbolic links, bounds whatever it holds in memory, and leaves
it to its receiver what a path may be. https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html
"""

import os
import tarfile
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from enum import StrEnum
from typing import Protocol

from trivet.model.frozen import frozen

BEGINNING = b"\x1f\x8b"

_BLOCK = tarfile.BLOCKSIZE
_PIECE_BYTES = 256 * 1024
_LARGEST_HEADER_BYTES = 64 * 1024
_LEVEL = 4  # of what builds hold, half the time of 6, for 4 % more
_GZIP = 31  # zlib's window, with gzip's header and checksum

Reading = Generator[int, bytes, None]
"""Yields how many bytes it wants next, and is sent just as many."""


class Kind(StrEnum):
    """What a member is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"


@frozen
class Member:
    """One member. `mode` is its permissions, `changed_at` in seconds since the epoch, `target` where a link leads."""

    path: str
    kind: Kind
    size_bytes: int = 0
    mode: int = 0o644
    changed_at: int = 0
    target: str = ""


class Receiver(Protocol):
    """Who takes what an archive holds: each member begins, its content comes in pieces, it ends."""

    def begin(self, member: Member) -> None: ...

    def take(self, content: bytes) -> None: ...

    def end(self) -> None: ...


def pack(member: Member, content: Iterable[bytes] = ()) -> Iterator[bytes]:
    """The member as it stands in a tar. Its size holds: content beyond it is left out, what lacks is made up with NULs."""
    yield _header(member)
    left = member.size_bytes
    for piece in content:
        yield piece[:left]
        left -= len(piece[:left])
        if not left:
            break
    while left:
        yield bytes(min(left, _PIECE_BYTES))
        left -= min(left, _PIECE_BYTES)
    yield bytes(-member.size_bytes % _BLOCK)


def compress(members: Iterable[bytes]) -> Iterator[bytes]:
    """The whole archive of these packed members, to its end."""
    deflating = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    for piece in members:
        if packed := deflating.compress(piece):
            yield packed
    yield deflating.compress(bytes(2 * _BLOCK)) + deflating.flush()


class Unpacking:
    """An archive on its way to its receiver. Raises ValueError for one that is damaged, and what the receiver raises."""

    def __init__(self, receiver: Receiver) -> None:
        self._inflating = zlib.decompressobj(_GZIP)
        self._held = bytearray()
        self._reading = _read(receiver)
        self._wanted: int | None = next(self._reading)

    def feed(self, content: bytes) -> None:
        """The next bytes of the archive were read."""
        rest, plain = content, b""
        while (rest or len(plain) == _PIECE_BYTES) and not self._inflating.eof:
            try:
                plain = self._inflating.decompress(rest, _PIECE_BYTES)
            except zlib.error as error:
                raise ValueError("what it holds does not fit its checksum") from error
            rest = self._inflating.unconsumed_tail
            self._take(plain)
        if self._inflating.unused_data or (rest and self._inflating.eof):
            raise ValueError("something follows on its end")

    def finish(self) -> None:
        """That was all of it. Raises: ValueError, if it was not."""
        if not self._inflating.eof or self._wanted is not None:
            raise ValueError("it was cut short")

    def _take(self, plain: bytes) -> None:
        self._held += plain
        while self._wanted is not None and len(self._held) >= self._wanted:
            piece = bytes(self._held[: self._wanted])
            del self._held[: self._wanted]
            try:
                self._wanted = self._reading.send(piece)
            except StopIteration:
                self._wanted = None
        if self._wanted is None and self._held.strip(b"\0"):
            raise ValueError("something follows on its end")


def _header(member: Member) -> bytes:
    info = tarfile.TarInfo(member.path)
    info.type = {Kind.FILE: tarfile.REGTYPE, Kind.FOLDER: tarfile.DIRTYPE, Kind.LINK: tarfile.SYMTYPE}[member.kind]
    info.size, info.mode, info.mtime, info.linkname = member.size_bytes, member.mode, member.changed_at, member.target
    return info.tobuf(tarfile.PAX_FORMAT, errors="surrogateescape")


def _read(receiver: Receiver) -> Reading:
    extended: dict[str, str] = {}
    while (head := (yield _BLOCK)) != bytes(_BLOCK):
        info = _parse_header(head)
        if info.type == tarfile.XHDTYPE:
            if info.size > _LARGEST_HEADER_BYTES:
                raise ValueError("a header of it is too large")
            extended = _parse_extended((yield info.size))
            yield -info.size % _BLOCK
            continue
        receiver.begin(member := _member(info, extended))
        extended = {}
        yield from _read_content(member.size_bytes, receiver.take)
        receiver.end()


def _read_content(size_bytes: int, take: Callable[[bytes], None]) -> Reading:
    left = size_bytes
    while left:
        piece = yield min(left, _PIECE_BYTES)
        take(piece)
        left -= len(piece)
    yield -size_bytes % _BLOCK


def _parse_header(head: bytes) -> tarfile.TarInfo:
    try:
        info = tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise ValueError("it holds what is no header of a tar") from error
    if info.size < 0:
        raise ValueError("a header of it has no size")
    return info


def _parse_extended(content: bytes) -> dict[str, str]:
    """Lines of `LENGTH NAME=VALUE`, where the length counts all of its line."""
    found: dict[str, str] = {}
    while content:
        length, _, _ = content.partition(b" ")
        if not length.isdigit() or not len(length) + 2 < int(length) <= len(content):
            raise ValueError("a header of it cannot be read")
        name, _, value = content[len(length) + 1 : int(length) - 1].partition(b"=")
        found[os.fsdecode(name)] = os.fsdecode(value)
        content = content[int(length) :]
    return found


def _member(info: tarfile.TarInfo, extended: dict[str, str]) -> Member:
    kinds = {
        tarfile.REGTYPE: Kind.FILE,
        tarfile.AREGTYPE: Kind.FILE,
        tarfile.DIRTYPE: Kind.FOLDER,
        tarfile.SYMTYPE: Kind.LINK,
    }
    path = extended.get("path", info.name)
    if info.type not in kinds:
        raise ValueError(f"{path!r} in it is neither a file, a folder nor a symbolic link")
    kind, size = kinds[info.type], extended.get("size", str(info.size))
    if not size.isdigit():
        raise ValueError(f"{path!r} in it has no size")
    return Member(
        path=path.rstrip("/"),
        kind=kind,
        size_bytes=int(size) if kind is Kind.FILE else 0,
        mode=info.mode & 0o777,
        changed_at=max(0, int(info.mtime)),
        target=extended.get("linkpath", info.linkname) if kind is Kind.LINK else "",
    )
