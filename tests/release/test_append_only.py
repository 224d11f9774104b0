"""Append-only by force: whichever client it is, the database refuses to change, remove or put in a row."""

import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing

import pytest

from trivet.model.config import Config
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.release import Act, Actor, Draft, Outcome, State
from trivet.release import ConfigStore, Entry, Ledger
from trivet.release.database import open_database
from trivet.release.entry import entry_hash
from trivet.release.merkle import grow

_COLUMNS = "position, app, deploy, kind, number, at, body, salt, hash, peaks"
_PLACES = ", ".join("?" * 10)

LEDGER_ATTACKS = {
    "update": "UPDATE ledger SET body = '{}' WHERE position = 1",
    "update of all": "UPDATE ledger SET at = 'never'",
    "update or replace": "UPDATE OR REPLACE ledger SET position = 1 WHERE position = 2",
    "update or ignore": "UPDATE OR IGNORE ledger SET number = 7",
    "delete": "DELETE FROM ledger WHERE position = 3",
    "delete of all": "DELETE FROM ledger",
    "insert or replace": f"INSERT OR REPLACE INTO ledger SELECT {_COLUMNS} FROM ledger WHERE position = 2",
    "replace": "REPLACE INTO ledger VALUES (2, 'shop', 'production', 'outcome', 1, '', '{}', '', x'', x'')",
    "insert or ignore": f"INSERT OR IGNORE INTO ledger SELECT {_COLUMNS} FROM ledger WHERE position = 2",
    "upsert": "INSERT INTO ledger VALUES (1, 'shop', 'production', 'release', 1, '', '{}', '', x'', x'') "
    "ON CONFLICT DO UPDATE SET body = excluded.body",
    "insert without a position": "INSERT INTO ledger (app, deploy, kind, number, at, body, salt, hash, peaks) "
    "VALUES ('shop', 'production', 'outcome', 2, '', '{}', '', x'', x'')",
    "insert at the end": "INSERT INTO ledger VALUES (4, 'shop', 'production', 'outcome', 2, '', '{}', '', x'', x'')",
    "insert for another deploy": "INSERT INTO ledger VALUES (4, 'shop', 'other', 'release', 1, '', '{}', '', x'', x'')",
}

CONFIG_ATTACKS = {
    "update": "UPDATE config_versions SET body = '{\"values\": {}}'",
    "erase": "UPDATE config_versions SET body = NULL",
    "renumber": "UPDATE OR REPLACE config_versions SET version = 1 WHERE version = 2",
    "delete": "DELETE FROM config_versions",
    "insert or replace": "INSERT OR REPLACE INTO config_versions VALUES ('shop', 'production', 1, 0, '', '{}')",
    "insert with a gap": "INSERT INTO config_versions VALUES ('shop', 'production', 9, 3, '', '{}')",
    "insert without values": "INSERT INTO config_versions VALUES ('shop', 'production', 3, 3, '', NULL)",
}


@pytest.fixture
def filled(ledger: Ledger, store: ConfigStore, draft: Callable[..., Draft], deploy: Deploy) -> Ledger:
    """v1 succeeded, v2 pending, and two config versions."""
    for value in ("1", "2"):
        version = store.add(deploy, Config({"KEY": value}))
        ledger.append(draft(config_version=version.version), version.config)
        if value == "1":
            ledger.conclude(deploy, 1, Outcome(State.SUCCEEDED))
    return ledger


@pytest.mark.parametrize("statement", LEDGER_ATTACKS.values(), ids=LEDGER_ATTACKS)
@pytest.mark.parametrize("triggers", ["OFF", "ON"])
def test_a_plain_client_cannot_change_the_ledger(
    filled: Ledger, plain_client: sqlite3.Connection, deploy: Deploy, statement: str, triggers: str
) -> None:
    before = filled.entries(deploy)
    plain_client.execute(f"PRAGMA recursive_triggers = {triggers}")
    with pytest.raises(sqlite3.Error):
        plain_client.execute(statement)
    assert filled.entries(deploy) == before
    assert filled.verify().first_bad is None


@pytest.mark.parametrize("statement", CONFIG_ATTACKS.values(), ids=CONFIG_ATTACKS)
def test_a_plain_client_cannot_change_a_config_version(
    filled: Ledger, plain_client: sqlite3.Connection, store: ConfigStore, deploy: Deploy, statement: str
) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        plain_client.execute(statement)
    assert [store.at(deploy, version).config.values["KEY"] for version in (1, 2)] == ["1", "2"]


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="needs the sqlite3 program")
@pytest.mark.parametrize("statement", LEDGER_ATTACKS.values(), ids=LEDGER_ATTACKS)
def test_the_sqlite3_program_cannot_change_the_ledger(
    home: Home, filled: Ledger, deploy: Deploy, statement: str
) -> None:
    before = filled.entries(deploy)
    done = subprocess.run(("sqlite3", home.database, statement), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert filled.entries(deploy) == before


def _entry(last: Entry, **changes: str | int) -> tuple[str | int | bytes, ...]:
    """A row after `last` whose hash and peaks fit, but for the changes."""
    row: dict[str, str | int] = {
        "position": last.position + 1,
        "app": last.app,
        "deploy": last.deploy,
        "kind": "release",
        "number": 3,
        "at": last.at,
        "body": "{}",
        **changes,
    }
    leaf = entry_hash(*row.values())
    return (*row.values(), "", leaf, grow(last.peaks, last.position, leaf))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"position": 2}, "not the next position"),
        ({"position": 9}, "not the next position"),
        ({"at": "2026\nshop"}, "a line break"),
        ({"number": 2}, "not the next number"),
        ({"number": 4}, "not the next number"),
        ({"kind": "destroyed", "number": 3}, "not the next number"),
        ({"kind": "outcome", "number": 3}, "no such release"),
        ({"kind": "pinned", "number": 3}, "no such release"),
        ({"kind": "pruned", "number": 0}, "no such release"),
        ({"kind": "what comes later", "number": 3}, "no such release"),
        ({"kind": "outcome", "number": 1}, "the release has such an entry"),
    ],
)
@pytest.mark.parametrize("verb", ["INSERT", "INSERT OR REPLACE", "INSERT OR IGNORE"])
def test_even_our_own_connection_can_only_write_the_next_entry(
    home: Home, filled: Ledger, changes: dict[str, str | int], why: str, verb: str
) -> None:
    before = filled.entries()
    with closing(open_database(home.database)) as connection:
        connection.execute("PRAGMA recursive_triggers = OFF")
        with pytest.raises(sqlite3.IntegrityError, match=why):
            connection.execute(f"{verb} INTO ledger VALUES ({_PLACES})", _entry(before[-1], **changes))
    assert filled.entries() == before


@pytest.mark.parametrize(
    ("column", "why"), [(8, "not the hash of the entry"), (9, "not the peaks of the tree")], ids=["hash", "peaks"]
)
def test_even_our_own_connection_cannot_write_an_entry_whose_hashes_do_not_fit(
    home: Home, filled: Ledger, column: int, why: str
) -> None:
    row = _entry(filled.entries()[-1])
    with closing(open_database(home.database)) as connection:
        with pytest.raises(sqlite3.IntegrityError, match=why):
            connection.execute(f"INSERT INTO ledger VALUES ({_PLACES})", (*row[:column], b"f" * 32, *row[column + 1 :]))
        connection.execute(f"INSERT INTO ledger VALUES ({_PLACES})", row)


def test_only_config_from_before_the_end_of_a_deploy_can_be_erased(
    filled: Ledger, plain_client: sqlite3.Connection, store: ConfigStore, deploy: Deploy, actor: Actor
) -> None:
    filled.destroy(deploy, Act(actor))
    kept = store.add(deploy, Config({"KEY": "3"}))
    with pytest.raises(sqlite3.IntegrityError, match="only once the deploy was destroyed"):
        plain_client.execute("UPDATE config_versions SET body = NULL")
    assert store.current(deploy) == kept


def test_no_two_rows_have_the_same_hash_for_moving_a_border() -> None:
    rows: list[tuple[str | int, ...]] = [
        (1, "ab", "c", "outcome", 1, "at", "{}"),
        (1, "a", "bc", "outcome", 1, "at", "{}"),
        (1, "ab", "", "coutcome", 1, "at", "{}"),
        (11, "ab", "c", "outcome", 1, "at", "{}"),
        (1, "ab", "c", "outcome", 11, "at", "{}"),
        (1, "ab", "c", "outcome", 1, "a", "t{}"),
        (1, "ab", "c", "outcome", 1, "", "at\n{}"),
    ]
    assert len({entry_hash(*row) for row in rows}) == len(rows)
