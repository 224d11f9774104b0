"""Attempts: who had what built, and what came of it, as rows in the database. A build that failed has no other record."""

import sqlite3
from contextlib import closing

from trivet.build.index import in_words, open_index
from trivet.model.attempt import Attempt
from trivet.model.home import Home
from trivet.model.names import AppName

_TABLES = """
CREATE TABLE IF NOT EXISTS build_attempts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    app TEXT NOT NULL, at TEXT NOT NULL, source TEXT NOT NULL, subject TEXT NOT NULL, actor TEXT NOT NULL,
    duration_s REAL NOT NULL, build TEXT, failure TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS build_attempts_by_app ON build_attempts (app, number);
"""
_COLUMNS = "app, at, source, subject, actor, duration_s, build, failure"


def add_attempt(home: Home, attempt: Attempt) -> None:
    """The attempt is on record. Raises: MachineError, Busy."""
    row = (attempt.app, attempt.at, attempt.commit, attempt.subject, attempt.actor, attempt.duration_s)
    with closing(_open(home)) as connection, in_words(home.database):
        connection.execute(
            f"INSERT INTO build_attempts ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, attempt.build, attempt.failure),
        )


def list_attempts(home: Home, app: AppName, limit: int | None = None) -> tuple[Attempt, ...]:
    """The app's attempts, newest first; only the newest `limit` of them are read. Raises: MachineError, Busy."""
    with closing(_open(home)) as connection, in_words(home.database):
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM build_attempts WHERE app = ? ORDER BY number DESC LIMIT ?",
            (app, -1 if limit is None else limit),
        )
        return tuple(Attempt(*row) for row in rows)


def forget_attempts(home: Home, app: AppName) -> None:
    """None of the app's attempts is on record any more. Raises: MachineError, Busy."""
    with closing(_open(home)) as connection, in_words(home.database):
        connection.execute("DELETE FROM build_attempts WHERE app = ?", (app,))


def _open(home: Home) -> sqlite3.Connection:
    return open_index(home.database, _TABLES)
