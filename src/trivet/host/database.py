"""The one SQLite file, opened the one way: write-ahead log, full sync, and nobody else may read it."""

import sqlite3
from pathlib import Path

from trivet.host.files import make_directories

_WAIT_S = 60


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode (transactions are written out: `BEGIN IMMEDIATE`), file mode 0600.

    Rows are plain tuples. Each room makes and writes its own tables. https://www.sqlite.org/wal.html
    """
    make_directories(path.parent, mode=0o700)
    path.touch(mode=0o600, exist_ok=True)
    connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA recursive_triggers = ON")
    return connection
