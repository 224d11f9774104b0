"""Reading the ledger: entries as records, newest first, each query answered from an index.

A deploy that was destroyed and made again goes on counting, but what was released before is no record of the present
one: its builds and values are gone. The entries stay; `Ledger.entries` has them all.
"""

import sqlite3
from collections.abc import Iterator

from trivet.errors import LedgerError
from trivet.model.document import read_document
from trivet.model.frozen import frozen
from trivet.model.names import AppName, Deploy, DeployName
from trivet.model.release import Outcome, Record, State
from trivet.release.entry import Entry, Kind, OutcomeBody, ReleaseBody, SupersededBody

_PENDING = Outcome(State.PENDING)

_RECORDS = """
SELECT release.position, release.body, outcome.position, outcome.body, outcome.at, superseded.position, superseded.body
FROM ledger AS release INDEXED BY ledger_numbers
LEFT JOIN ledger AS outcome INDEXED BY ledger_numbers
    ON outcome.app = release.app AND outcome.deploy = release.deploy
    AND outcome.kind = 'outcome' AND outcome.number = release.number
LEFT JOIN ledger AS superseded INDEXED BY ledger_numbers
    ON superseded.app = release.app AND superseded.deploy = release.deploy
    AND superseded.kind = 'superseded' AND superseded.number = release.number
WHERE release.kind = 'release' AND release.app = ? AND release.deploy = ?
"""
_SINCE = "AND release.number > ?"
_NEWEST_FIRST = "ORDER BY release.number DESC"
_COUNT = "SELECT count(*) FROM ledger INDEXED BY ledger_numbers WHERE app = ? AND deploy = ? AND kind = 'outcome' AND number > ?"
_COLUMNS = "position, app, deploy, kind, number, at, body, salt, hash, peaks"

_Row = tuple[int, str, int | None, str | None, str | None, int | None, str | None]


@frozen
class Life:
    """Where the deploy's present life began in the ledger: behind this position and this number (0: it is the first)."""

    position: int
    number: int


def read_life(connection: sqlite3.Connection, deploy: Deploy) -> Life:
    """The deploy's present life: since it was destroyed last."""
    row = connection.execute(
        "SELECT position, number FROM ledger INDEXED BY ledger_numbers WHERE app = ? AND deploy = ? AND kind = 'destroyed' "
        "ORDER BY number DESC, position DESC LIMIT 1",
        (deploy.app, deploy.name),
    ).fetchone()
    return Life(0, 0) if row is None else Life(*row)


def read_records(connection: sqlite3.Connection, deploy: Deploy, limit: int | None = None) -> Iterator[Record]:
    """The deploy's releases, newest first."""
    life = read_life(connection, deploy)
    query = f"{_RECORDS} {_SINCE} {_NEWEST_FIRST} LIMIT ?"
    rows = connection.execute(query, (deploy.app, deploy.name, life.number, -1 if limit is None else limit))
    return (_record(row, deploy) for row in rows)


def read_record(connection: sqlite3.Connection, deploy: Deploy, number: int) -> Record | None:
    """The release by this number, if the deploy has one."""
    if number <= read_life(connection, deploy).number:
        return None
    query = f"{_RECORDS} AND release.number = ?"
    row = connection.execute(query, (deploy.app, deploy.name, number)).fetchone()
    return None if row is None else _record(row, deploy)


def is_concluded(connection: sqlite3.Connection, deploy: Deploy, number: int) -> bool:
    """Whether the release has an outcome."""
    row = connection.execute(
        "SELECT 1 FROM ledger INDEXED BY ledger_numbers WHERE app = ? AND deploy = ? AND kind = 'outcome' AND number = ?",
        (deploy.app, deploy.name, number),
    ).fetchone()
    return row is not None


def read_pending(connection: sqlite3.Connection, deploy: Deploy) -> tuple[Record, ...]:
    """The releases without an outcome, newest first. How many there are is counted first, so none is looked for in vain."""
    life = read_life(connection, deploy)
    (concluded,) = connection.execute(_COUNT, (deploy.app, deploy.name, life.number)).fetchone()
    count = read_last_number(connection, deploy) - life.number - concluded
    if not count:
        return ()
    query = f"{_RECORDS} {_SINCE} AND outcome.position IS NULL {_NEWEST_FIRST} LIMIT ?"
    rows = connection.execute(query, (deploy.app, deploy.name, life.number, count))
    return tuple(_record(row, deploy) for row in rows)


def read_current(connection: sqlite3.Connection, deploy: Deploy) -> Record | None:
    """The newest good release. Nothing older than it is read."""
    return next((record for record in read_records(connection, deploy) if record.is_good), None)


def read_span(connection: sqlite3.Connection, deploy: Deploy) -> tuple[int, int] | None:
    """The lowest and the highest number of the deploy's releases, if it has any."""
    life = read_life(connection, deploy)
    last = read_last_number(connection, deploy)
    return (life.number + 1, last) if last > life.number else None


def read_last_number(connection: sqlite3.Connection, deploy: Deploy) -> int:
    """The number of the newest release ever made under this name; 0 if none was."""
    (last,) = connection.execute(
        "SELECT max(number) FROM ledger INDEXED BY ledger_numbers WHERE app = ? AND deploy = ? AND kind = 'release'",
        (deploy.app, deploy.name),
    ).fetchone()
    return last or 0


def read_deploys(connection: sqlite3.Connection) -> tuple[Deploy, ...]:
    """Every deploy that exists, sorted."""
    names = {*_names(connection, "ledger INDEXED BY ledger_numbers"), *_names(connection, "config_versions")}
    return tuple(deploy for deploy in sorted(names) if is_present(connection, deploy))


def is_present(connection: sqlite3.Connection, deploy: Deploy) -> bool:
    """Whether the deploy has a release or a config and was not destroyed since."""
    life = read_life(connection, deploy)
    if read_last_number(connection, deploy) > life.number:
        return True
    row = connection.execute(
        "SELECT position FROM config_versions WHERE app = ? AND deploy = ? ORDER BY version DESC LIMIT 1",
        (deploy.app, deploy.name),
    ).fetchone()
    return row is not None and row[0] >= life.position


def read_pins(connection: sqlite3.Connection, deploy: Deploy) -> frozenset[int]:
    """The numbers of the deploy's releases that are pinned: the newest entry about that counts."""
    since = read_life(connection, deploy).number
    pinned, unpinned = (
        dict(
            connection.execute(
                "SELECT number, max(position) FROM ledger INDEXED BY ledger_numbers "
                "WHERE app = ? AND deploy = ? AND kind = ? AND number > ? GROUP BY number",
                (deploy.app, deploy.name, kind.value, since),
            )
        )
        for kind in (Kind.PINNED, Kind.UNPINNED)
    )
    return frozenset(number for number, position in pinned.items() if position > unpinned.get(number, 0))


def read_entries(connection: sqlite3.Connection, deploy: Deploy | None) -> Iterator[Entry]:
    """The rows as they are, oldest first: those about the deploy, or all there are (None)."""
    if deploy is None:
        rows = connection.execute(f"SELECT {_COLUMNS} FROM ledger ORDER BY position")
    else:
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM ledger INDEXED BY ledger_numbers WHERE app = ? AND deploy = ? ORDER BY position",
            (deploy.app, deploy.name),
        )
    return map(Entry._make, rows)


def read_release_entry(connection: sqlite3.Connection, deploy: Deploy, number: int) -> Entry | None:
    """The row that names the release, as it is."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM ledger INDEXED BY ledger_numbers "
        "WHERE app = ? AND deploy = ? AND kind = 'release' AND number = ?",
        (deploy.app, deploy.name, number),
    ).fetchone()
    return None if row is None else Entry(*row)


def has_insisted(connection: sqlite3.Connection, deploy: Deploy) -> bool:
    """Whether the deploy has had a release whose build says that the next have to be signed. No document is read for it."""
    row = connection.execute(
        "SELECT 1 FROM ledger INDEXED BY ledger_numbers WHERE app = ? AND deploy = ? AND kind = 'release' AND number > ? "
        """AND instr(body, '"requires_signature":true') LIMIT 1""",
        (deploy.app, deploy.name, read_life(connection, deploy).number),
    ).fetchone()
    return row is not None


def read_story(connection: sqlite3.Connection, app: AppName) -> Iterator[Entry]:
    """The rows about the app, its deploys' too, newest first, each read when it is asked for."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM ledger INDEXED BY ledger_apps WHERE app = ? ORDER BY position DESC", (app,)
    )
    return map(Entry._make, rows)


def read_last_entry(connection: sqlite3.Connection) -> tuple[int, bytes] | None:
    """Position and peaks of the newest entry of all."""
    row = connection.execute(
        "SELECT position, peaks FROM ledger WHERE position = (SELECT max(position) FROM ledger)"
    ).fetchone()
    return None if row is None else (row[0], row[1])


def read_hashes(connection: sqlite3.Connection, position: int) -> tuple[bytes, bytes]:
    """Hash and peaks of the entry at this position. Raises: LedgerError, if it is missing."""
    row = connection.execute("SELECT hash, peaks FROM ledger WHERE position = ?", (position,)).fetchone()
    if row is None:
        raise LedgerError(
            f"Entry {position} of the ledger is missing.",
            hint="Somebody took it out. Restore the database from a backup.",
        )
    return row[0], row[1]


def _names(connection: sqlite3.Connection, table: str) -> Iterator[Deploy]:
    """Every deploy that the table has ever named, in one step through the key for each: the rows are not scanned."""
    for app in _after(connection, f"SELECT min(app) FROM {table} WHERE app > ?"):
        for name in _after(connection, f"SELECT min(deploy) FROM {table} WHERE app = ? AND deploy > ?", app):
            yield Deploy(AppName(app), DeployName(name))


def _after(connection: sqlite3.Connection, query: str, *given: str) -> Iterator[str]:
    name: str | None = ""
    while name is not None:
        (name,) = connection.execute(query, (*given, name)).fetchone()
        if name is not None:
            yield name


def _record(row: _Row, deploy: Deploy) -> Record:
    position, body, outcome_position, outcome, ended_at, superseded_position, superseded = row
    release = read_document(ReleaseBody, body, name=f"entry {position} of {deploy}").release
    if outcome is None:
        return Record(release, _PENDING, None)
    found = read_document(OutcomeBody, outcome, name=f"entry {outcome_position} of {deploy}").outcome
    if superseded is None:
        return Record(release, found, ended_at)
    by = read_document(SupersededBody, superseded, name=f"entry {superseded_position} of {deploy}").by
    return Record(release, found, ended_at, by)
