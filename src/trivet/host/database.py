"""The one SQLite file, opened the one way: write-ahead log, full sync, and nobody else may read it."""

import contextlib
import sqlite3
import time
from pathlib import Path

from trivet.errors import Busy, MachineError
from trivet.host.files import is_full, make_directories

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


def connect_to_read(path: Path) -> sqlite3.Connection | None:
    """A connection that writes nothing, for where nothing can be written; None if the file alone would tell half of it.

    Without room for the write-ahead log's index SQLite reads the file only if told that nobody changes it
    (`immutable`), and then not the log: that must be empty. https://www.sqlite.org/wal.html#read_only_databases
    """
    for options in ("mode=ro", "mode=ro&immutable=1"):
        if "immutable" in options and _has_log(path):
            return None
        try:
            connection = sqlite3.connect(f"{path.as_uri()}?{options}", uri=True, timeout=_WAIT_S, isolation_level=None)
        except sqlite3.Error:
            continue
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error:
            connection.close()
        else:
            return connection
    return None


def copy(path: Path, target: Path) -> None:
    """The target is the database as it is at one moment, whoever writes meanwhile; nobody else may read it.

    Raises: sqlite3.Error, if the database is damaged as well.
    """
    target.touch(mode=0o600)
    with (
        contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_WAIT_S)) as present,
        contextlib.closing(sqlite3.connect(target)) as new,
    ):
        present.backup(new)
        found = [str(row[0]) for row in new.execute("PRAGMA quick_check(1)")]
    if found != ["ok"]:
        raise sqlite3.DatabaseError(f"it is damaged: {found[0]}")


def error_name(error: sqlite3.Error) -> str:
    """SQLite's own name of the error, `SQLITE_BUSY`; "" if it has none. https://www.sqlite.org/rescode.html"""
    return getattr(error, "sqlite_errorname", None) or ""


def refusal(error: sqlite3.Error, path: Path) -> MachineError | Busy | None:
    """The machine's refusal in words, if the error is one; None if it is about what the database holds."""
    name = error_name(error)
    # On a full disk SQLite cannot make room for its index of the write-ahead log and calls that an I/O error; and a
    # connection that could be opened for reading only calls itself that.
    if name == "SQLITE_FULL" or (name.startswith(("SQLITE_IOERR", "SQLITE_READONLY")) and is_full(path.parent)):
        return MachineError(
            f"Cannot write {path}: the disk is full.",
            hint="Free some space (df -h shows where) and run the command again.",
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_IOERR")):
        return MachineError(
            f"Cannot use {path}: {error}.",
            hint="Run Trivet as the user who owns this file, with its disk writable and whole, or set TRIVET_HOME.",
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Busy(f"Another program is writing to {path}.", hint="Wait for it to end, then try again.")
    return None


def _has_log(path: Path) -> bool:
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


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
