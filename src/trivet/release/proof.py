"""A proof that an entry is in the ledger, for somebody who has nothing but the public key. https://c2sp.org/tlog-proof"""

import base64
import sqlite3

from trivet.errors import LedgerError, UnknownRelease
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.release.checkpoints import checkpoint_of, sign
from trivet.release.entry import Kind, entry_bytes
from trivet.release.key import signing_key
from trivet.release.merkle import audit_path, leaf_hash, root, root_by_path
from trivet.release.records import read_hashes, read_last_entry

_FORM = "c2sp.org/tlog-proof@v1"


def write_proof(connection: sqlite3.Connection, home: Home, about: tuple[Deploy, int, Kind]) -> str:
    """The proof that the ledger has the release's entry of this kind; the entry itself is its extra data.

    Raises: UnknownRelease, LedgerError, MachineError.
    """
    position, content = _read(connection, *about)
    size, peaks = read_last_entry(connection) or (0, b"")
    path = audit_path(lambda at: read_hashes(connection, at), position - 1, size)
    if root_by_path(leaf_hash(content), position - 1, size, path) != root(peaks):
        raise LedgerError(
            f"Entry {position} cannot be proved: the ledger was altered.",
            hint="`trivet releases verify` says where.",
        )
    lines = [_FORM, f"extra {_encoded(content)}", f"index {position - 1}", *map(_encoded, path), ""]
    return "\n".join((*lines, sign(checkpoint_of(size, peaks), signing_key(home))))


def _read(connection: sqlite3.Connection, deploy: Deploy, number: int, kind: Kind) -> tuple[int, bytes]:
    row = connection.execute(
        "SELECT position, app, deploy, kind, number, at, body FROM ledger INDEXED BY ledger_numbers "
        "WHERE app = ? AND deploy = ? AND kind = ? AND number = ?",
        (deploy.app, deploy.name, kind.value, number),
    ).fetchone()
    if row is None:
        what = "no outcome yet" if kind is Kind.OUTCOME else "no such entry"
        raise UnknownRelease(f"v{number} of {deploy} has {what}.", hint="`trivet releases` lists what there is.")
    return row[0], entry_bytes(*row)


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
