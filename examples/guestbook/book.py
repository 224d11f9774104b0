"""The guestbook's database: one SQLite file in the deploy's storage, which outlives releases."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

MIGRATIONS = (
    "CREATE TABLE entry (id INTEGER PRIMARY KEY, name TEXT NOT NULL, text TEXT NOT NULL, at TEXT DEFAULT CURRENT_TIMESTAMP)",
    "CREATE TABLE statistic (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
)


def connect():
    connection = sqlite3.connect(Path(os.environ["TRIVET_STORAGE"]) / "book.sqlite", timeout=10)
    connection.row_factory = sqlite3.Row
    return connection


def migrate():
    with closing(connect()) as connection, connection:
        done = connection.execute("PRAGMA user_version").fetchone()[0]
        for number, statement in enumerate(MIGRATIONS[done:], start=done + 1):
            connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
            print(f"migration {number} applied")
    print("the database is up to date")


def entries():
    with closing(connect()) as connection:
        return connection.execute("SELECT name, text, at FROM entry ORDER BY id DESC LIMIT 100").fetchall()


def add(name, text):
    with closing(connect()) as connection, connection:
        connection.execute("INSERT INTO entry (name, text) VALUES (?, ?)", (name, text))


def statistics():
    with closing(connect()) as connection:
        return dict(connection.execute("SELECT name, value FROM statistic").fetchall())


def count():
    with closing(connect()) as connection, connection:
        total, words = 0, 0
        for row in connection.execute("SELECT text FROM entry"):
            total, words = total + 1, words + len(row["text"].split())
        connection.executemany("REPLACE INTO statistic VALUES (?, ?)", (("entries", total), ("words", words)))
        return total, words
