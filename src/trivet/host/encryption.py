"""Encryption of a whole file for recipients, as age has it: `age` opens it, too. https://age-encryption.org/v1

A recipient is an age one (`age1…`) or an SSH public key; an identity opens what was encrypted for its recipient. Streams:
nothing is held as a whole. pyrage is imported when it is needed.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import field
from itertools import chain
from typing import BinaryIO

from trivet.model.frozen import frozen

BEGINNINGS = (b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----")
_PIECE_BYTES = 1 << 16


class NotOpened(Exception):
    """None of the identities opens it: it is for others, or its beginning is damaged."""


@frozen
class Identities:
    """What opens files; never shown."""

    keys: tuple[object, ...] = field(repr=False)


def parse_recipient(text: str) -> object:
    """The recipient. Raises: ValueError, if it is none."""
    import pyrage

    kind = pyrage.ssh.Recipient if text.startswith("ssh-") else pyrage.x25519.Recipient
    try:
        return kind.from_str(text)
    except pyrage.RecipientError as error:
        raise ValueError(str(error)) from error


def parse_identities(content: bytes) -> Identities:
    """The identities of an age identity file, or the one that an SSH private key is. Raises: ValueError."""
    import pyrage

    try:
        if content.lstrip().startswith(b"-----BEGIN"):
            return Identities((pyrage.ssh.Identity.from_buffer(content),))
        lines = [line.strip() for line in content.decode().splitlines()]
        keys = tuple(pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#"))
    except (pyrage.IdentityError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error
    if not keys:
        raise ValueError("it holds no identity")
    return Identities(keys)


def encrypt(content: Iterable[bytes], recipients: tuple[object, ...], take: Callable[[bytes], object]) -> None:
    """`take` was called with the content, encrypted for these recipients, in pieces. Raises: what either of them raises."""
    import pyrage

    source, target = _Source(iter(content)), _Target(take)
    try:
        pyrage.encrypt_io(source, target, list(recipients))
    except pyrage.EncryptError as error:
        raise source.error or target.error or OSError(str(error)) from error


def decrypt(beginning: bytes, file: BinaryIO, identities: Identities, take: Callable[[bytes], object]) -> None:
    """`take` was called with all that was encrypted, in pieces, each one as it was written.

    `beginning` is what was read of the file already.

    Raises: NotOpened; ValueError, if it is damaged or cut short; what the file or `take` raises.
    """
    import pyrage

    target = _Target(take)
    source = _Source(chain((beginning,), iter(lambda: file.read(_PIECE_BYTES), b"")))
    try:
        pyrage.decrypt_io(source, target, list(identities.keys))
    except pyrage.DecryptError as error:
        raise source.error or target.error or NotOpened from error
    except OSError as error:
        raise source.error or target.error or ValueError("it was altered or cut short") from error


class _Source:
    """Pieces as a file to read. What they raise is kept: the library makes a text of it."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            while not self._rest and (piece := next(self._pieces, None)) is not None:
                self._rest = piece
        except BaseException as error:
            self.error = error
            raise
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


class _Target:
    """A function as a file to write. What it raises is kept: the library makes a text of it."""

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self._take = take
        self.error: BaseException | None = None

    def write(self, content: bytes) -> int:
        try:
            self._take(content)
        except BaseException as error:
            self.error = error
            raise
        return len(content)

    def flush(self) -> None:
        """Whoever has opened the file does that."""
