"""The one SQLite file, opened the one way: write-ahead log, full sync, and nobody else may read it."""

import sqlite3
import time
from pathlib import Path

from trivet.host.files import make_directories

_WAIT_S = 60
_POLL_S = 0.01


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode (transactions are written out: `BEGIN IMMEDIATE`), file mode 0600.

    Rows are plain tuples. Each room makes and writes its own tables. https://www.sqlite.org/wal.html
    """
    make_directories(path.parent, mode=0o700)
    path.touch(mode=0o600, exist_ok=True)
    connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)
    try:
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA recursive_triggers = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Waits by itself: SQLite's own waiting does not cover the change of mode, which several may want of a new file."""
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)
