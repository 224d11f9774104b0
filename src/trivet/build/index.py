"""The build stage's connection to the database: its tables are there, its errors are in words."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from trivet.errors import MachineError
from trivet.host import database


def open_index(path: Path, tables: str) -> sqlite3.Connection:
    """A connection to the database, which has these tables. Raises: MachineError, Busy."""
    with in_words(path):
        connection = database.connect(path)
        try:
            connection.executescript(tables)
        except BaseException:
            connection.close()
            raise
        return connection


@contextlib.contextmanager
def in_words(path: Path) -> Iterator[None]:
    """SQLite's errors become errors that say what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise database.refusal(error, path) or MachineError(
            f"Cannot read or write the index of builds: {error}.", hint="`trivet doctor` checks the home's files."
        ) from error
