"""Pins: the releases whose builds pruning never takes, as rows that are appended and never changed.

The table is made when somebody pins for the first time. A row says that a release was pinned or unpinned, by whom and
when; the newest one of a release counts.
"""

import sqlite3

from trivet.model.names import Deploy
from trivet.model.release import Actor

_STATEMENTS = (
    """
CREATE TABLE IF NOT EXISTS pins (
    app TEXT NOT NULL,
    deploy TEXT NOT NULL,
    position INTEGER NOT NULL,
    number INTEGER NOT NULL,
    is_pinned INTEGER NOT NULL CHECK (is_pinned IN (0, 1)),
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    PRIMARY KEY (app, deploy, position)
) STRICT, WITHOUT ROWID
""",
    """
CREATE TRIGGER IF NOT EXISTS pins_next BEFORE INSERT ON pins
WHEN NEW.position IS NOT 1 + coalesce(
    (SELECT max(position) FROM pins WHERE app = NEW.app AND deploy = NEW.deploy), 0)
BEGIN SELECT RAISE(ABORT, 'not the next position'); END
""",
    "CREATE TRIGGER IF NOT EXISTS pins_refuse_update BEFORE UPDATE ON pins BEGIN SELECT RAISE(ABORT, 'never changed'); END",
    "CREATE TRIGGER IF NOT EXISTS pins_refuse_delete BEFORE DELETE ON pins BEGIN SELECT RAISE(ABORT, 'never removed'); END",
)


def read_pins(connection: sqlite3.Connection, deploy: Deploy, since: int) -> frozenset[int]:
    """The numbers above `since` of the deploy's releases that are pinned."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'pins'").fetchone() is None:
        return frozenset()
    rows = connection.execute(
        "SELECT number, is_pinned FROM pins WHERE app = ? AND deploy = ? AND number > ? ORDER BY position",
        (deploy.app, deploy.name, since),
    )
    return frozenset(number for number, is_pinned in dict(rows).items() if is_pinned)


def append_pin(connection: sqlite3.Connection, deploy: Deploy, pin: tuple[int, bool], by: tuple[Actor, str]) -> None:
    """The release is pinned, or is not any more: `pin` has its number and which; `by` says who, and when."""
    for statement in _STATEMENTS:
        connection.execute(statement)
    (last,) = connection.execute(
        "SELECT coalesce(max(position), 0) FROM pins WHERE app = ? AND deploy = ?", (deploy.app, deploy.name)
    ).fetchone()
    connection.execute(
        "INSERT INTO pins (app, deploy, position, number, is_pinned, at, actor) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (deploy.app, deploy.name, last + 1, pin[0], int(pin[1]), by[1], str(by[0])),
    )
