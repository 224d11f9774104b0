"""Checkpoints: signed, kept in the release folders, read again. https://c2sp.org/tlog-checkpoint"""

import base64
import contextlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from trivet.host.files import create_once
from trivet.model.checkpoint import Checkpoint, parse_checkpoint
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.release.folder import CHECKPOINT_FILE
from trivet.release.key import signing_key
from trivet.release.merkle import root
from trivet.release.note import Note, PrivateKey, PublicKey, parse_note
from trivet.release.records import is_concluded, read_last_entry

_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@frozen
class Signed:
    """A checkpoint as it was signed for the log of this name; whether the signature fits is not said."""

    checkpoint: Checkpoint
    origin: str
    note: Note


def checkpoint_of(size: int, peaks: bytes) -> Checkpoint:
    """The checkpoint of a log that has come so far."""
    return Checkpoint(size, base64.b64encode(root(peaks)).decode())


def sign(checkpoint: Checkpoint, key: PrivateKey) -> str:
    """The checkpoint as a signed note."""
    return key.sign(f"{key.name}\n{checkpoint.size}\n{checkpoint.root}\n")


def parse_signed(content: bytes) -> Signed | None:
    """The checkpoint that the note holds; None if it holds none."""
    note = parse_note(content)
    lines = note.text.split("\n") if note else []
    checkpoint = parse_checkpoint(f"{lines[1]}:{lines[2]}") if len(lines) >= 4 else None
    if note is None or checkpoint is None or not lines[0] or "" in lines[:-1]:
        return None
    return Signed(checkpoint, lines[0], note)


def written_form(key: PublicKey) -> re.Pattern[bytes]:
    """What `sign` writes with this key, but for whether the signature fits; the groups are size and root.

    A verification reads thousands, nearly all of this form, and `parse_signed` takes five times as long.
    """
    name = re.escape(key.name.encode())
    # The key's id is the first four bytes of what is in base64: five digits, and the upper two bits of the sixth.
    five = re.escape(base64.b64encode(key.id + b"\0\0")[:5])
    sixth = _DIGITS[16 * (key.id[3] & 3) :][:16]
    signature = b"%s[%s][A-Za-z0-9+/]{85}=" % (five, sixth)
    return re.compile(
        b"%s\n(0|[1-9][0-9]{0,17})\n([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)\n\n\xe2\x80\x94 %s %s\n"
        % (name, name, signature)
    )


def write_missing(connection: sqlite3.Connection, home: Home, deploy: Deploy, number: int) -> Checkpoint | None:
    """This release and those before have a checkpoint if they have an outcome; it is returned if any had to be written.

    It is of all that is committed by now, and no more. Whoever wrote the outcome may have been killed before the
    checkpoint. Raises: LedgerError, MachineError.
    """
    missing = tuple(_missing(connection, home, deploy, number))
    last = read_last_entry(connection)
    if not missing or last is None:
        return None
    key = signing_key(home)
    checkpoint = checkpoint_of(*last)
    for path in missing:
        with contextlib.suppress(FileExistsError):
            create_once(path, sign(checkpoint, key).encode(), mode=0o444)
    return checkpoint


def _missing(connection: sqlite3.Connection, home: Home, deploy: Deploy, number: int) -> Iterator[Path]:
    """The files that should be there, from this release's back to the first that is, or has no folder."""
    for each in range(number, 0, -1):
        path = home.release(deploy, each) / CHECKPOINT_FILE
        if path.exists() or not path.parent.is_dir():
            return
        if is_concluded(connection, deploy, each):
            yield path
