"""The release stage's connection: its tables are there, its transactions are whole, its errors are in words."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from trivet.errors import LedgerError, MachineError, TrivetError
from trivet.host import database
from trivet.host.files import refused
from trivet.release.entry import entry_hash
from trivet.release.merkle import grow
from trivet.release.schema import STATEMENTS

_OLDEST = (3, 37, 0)  # the first with STRICT tables
_TABLES = frozenset(("ledger", "config_versions"))


def open_database(path: Path) -> sqlite3.Connection:
    """A connection with our tables, triggers and functions; one for reading, where nothing can be written.

    Raises: LedgerError, MachineError, Busy.
    """
    _check_version()
    with in_words(path):
        try:
            return _prepared(database.connect(path), path)
        except (sqlite3.Error, OSError, MachineError) as error:
            connection = database.connect_to_read(path) if _cannot_write(error, path) else None
            if connection is None:
                raise
            return _prepared_to_read(connection, path, error)


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """Everything inside happens or nothing does, and nobody else writes meanwhile."""
    if _only_reads(connection):
        connection.execute("PRAGMA user_version = 0")  # refused, in SQLite's words: BEGIN alone is not always
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some errors, a full disk for one.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """SQLite's errors, and the machine's about the file, become errors that say what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise _in_words(error, path) from error
    except OSError as error:
        raise refused(error, f"use {path}") from error


def _check_version() -> None:
    if sqlite3.sqlite_version_info < _OLDEST:
        raise MachineError(
            f"This Python uses SQLite {sqlite3.sqlite_version}; Trivet needs {'.'.join(map(str, _OLDEST))} or later.",
            hint="Install Trivet with a newer Python, for example: uv tool install --python 3.12 trivet",
        )


def _cannot_write(error: Exception, path: Path) -> bool:
    return not isinstance(error, sqlite3.Error) or isinstance(database.refusal(error, path), MachineError)


def _prepared(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepared_to_read(connection: sqlite3.Connection, path: Path, error: Exception) -> sqlite3.Connection:
    """Raises: the error that kept us from more, if there is nothing to read."""
    try:
        _teach(connection)
        _check_readable(connection, path, error)
        connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_readable(connection: sqlite3.Connection, path: Path, error: Exception) -> None:
    if _tables(connection) != _TABLES:
        raise error
    _check_form(connection, path)


def _only_reads(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA query_only").fetchone()[0])


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    _teach(connection)
    connection.execute("PRAGMA secure_delete = ON")
    _check_form(connection, path)
    if _is_complete(connection):
        return
    with writing(connection):
        found = _tables(connection)
        if found and found != _TABLES:  # they are made together
            (gone,) = _TABLES - found
            raise _damaged(path, f"its table {gone!r} is gone")
        for statement in STATEMENTS:
            connection.execute(statement)


def _teach(connection: sqlite3.Connection) -> None:
    connection.create_function("trivet_entry_hash", 7, entry_hash, deterministic=True)
    connection.create_function("trivet_grow", 3, grow, deterministic=True)
    # A row that somebody damaged is to be named by its hash, so bytes that are no text must not end the reading of it.
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    # Some builds of SQLite do not let triggers call functions of the application unless told so.
    connection.execute("PRAGMA trusted_schema = ON")


def _tables(connection: sqlite3.Connection) -> frozenset[str]:
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return _TABLES & names


def _check_form(connection: sqlite3.Connection, path: Path) -> None:
    """Raises: LedgerError for a database from before the ledger was one log with a hash tree."""
    row = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'ledger'").fetchone()
    if row is not None and "peaks" not in row[0]:
        raise LedgerError(
            f"The database {path} was made by an earlier version of Trivet, whose ledger had another form.",
            hint=f"Nothing was changed. `trivet down` ends what runs; move {path.parent} elsewhere and deploy the apps again. "
            "Config and storage are still where they were: the earlier version reads them.",
        )


def _is_complete(connection: sqlite3.Connection) -> bool:
    """Asked first, because only whoever finds something missing should wait for the right to write."""
    (count,) = connection.execute(
        "SELECT count(*) FROM sqlite_master WHERE tbl_name IN ('ledger', 'config_versions') AND sql IS NOT NULL"
    ).fetchone()
    return bool(count >= len(STATEMENTS))


def _in_words(error: sqlite3.Error, path: Path) -> TrivetError:
    machine = database.refusal(error, path)
    if machine is not None:
        return machine
    if database.error_name(error).startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return _damaged(path, str(error))
    return LedgerError(
        f"The database refused: {error}.", hint="Nothing was changed. `trivet releases verify` checks the ledger."
    )


def _damaged(path: Path, how: str) -> LedgerError:
    return LedgerError(
        f"The database {path} is damaged: {how}.",
        hint="What runs is not touched by this. Restore the file from a backup; "
        "release.json in each release folder says what was released.",
    )
