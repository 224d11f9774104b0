"""The build stage's connection to the database: its tables are there, its errors are in words."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from trivet.errors import MachineError
from trivet.host import database


def open_index(path: Path, tables: str) -> sqlite3.Connection:
    """A connection to the database, which has these tables; one for reading, where nothing can be written.

    Raises: MachineError, Busy.
    """
    with in_words(path):
        try:
            return _with_tables(database.connect(path), tables)
        except (sqlite3.Error, MachineError) as error:
            connection = database.connect_to_read(path) if _cannot_write(error, path) else None
            if connection is None:
                raise
            return _with_tables(connection, tables)


def open_to_look(path: Path, table: str) -> sqlite3.Connection | None:
    """A connection by which nothing is made; None if there is no such file yet, or no such table in it.

    Raises: MachineError, Busy.
    """
    if not path.is_file():
        return None
    with in_words(path):
        connection = database.connect(path)
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
            return connection
        connection.close()
        return None


def _with_tables(connection: sqlite3.Connection, tables: str) -> sqlite3.Connection:
    """Nothing is written if the tables are there."""
    try:
        connection.executescript(tables)
    except BaseException:
        connection.close()
        raise
    return connection


def _cannot_write(error: Exception, path: Path) -> bool:
    return not isinstance(error, sqlite3.Error) or isinstance(database.refusal(error, path), MachineError)


@contextlib.contextmanager
def in_words(path: Path) -> Iterator[None]:
    """SQLite's errors become errors that say what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise database.refusal(error, path) or MachineError(
            f"Cannot read or write the index of builds: {error}.", hint="`trivet doctor` checks the home's files."
        ) from error
