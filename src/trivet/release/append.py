"""An entry appended: the one place where the ledger is written."""

import sqlite3

from trivet.model.document import canonical
from trivet.model.frozen import frozen
from trivet.release.entry import Kind, entry_hash
from trivet.release.merkle import NO_PEAKS, grow
from trivet.release.records import read_last_entry


@frozen
class NewEntry:
    """What an entry is to say, and when; `app`, `deploy` and `number` as in `Entry`. `salt` is no part of what is hashed."""

    kind: Kind
    body: object
    at: str
    app: str = ""
    deploy: str = ""
    number: int = 0
    salt: str = ""


def append_entry(connection: sqlite3.Connection, entry: NewEntry) -> None:
    """The ledger has one more entry. Only the last one was read for it, however many there are."""
    last, peaks = read_last_entry(connection) or (0, NO_PEAKS)
    row = (last + 1, entry.app, entry.deploy, entry.kind.value, entry.number, entry.at, canonical(entry.body))
    leaf = entry_hash(*row)
    connection.execute(
        "INSERT INTO ledger (position, app, deploy, kind, number, at, body, salt, hash, peaks) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*row, entry.salt, leaf, grow(peaks, last, leaf)),
    )
