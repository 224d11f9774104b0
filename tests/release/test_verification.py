"""What `trivet releases verify` finds after somebody dropped the triggers, or wrote to a release folder."""

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from trivet.model.config import Config
from trivet.model.home import Home
from trivet.model.names import Deploy, parse_deploy_name
from trivet.model.release import Draft, Outcome, State
from trivet.model.verification import Fault
from trivet.release import ConfigStore, Ledger
from trivet.release.entry import entry_hash
from trivet.release.merkle import NO_PEAKS, grow

Tamper = Callable[[str], None]

_HASH = "fit(position, app, deploy, kind, number, at, body)"
_REHASH = f"UPDATE ledger SET hash = {_HASH}"
_LAST = "FROM ledger WHERE position = 8"


@pytest.fixture
def filled(ledger: Ledger, store: ConfigStore, draft: Callable[..., Draft], deploy: Deploy) -> Ledger:
    """v1 to v3, each good. Entries: 1 v1, 2 its outcome, 3 v2, 4 its outcome, 5 v1 superseded, 6 v3, 7, 8 v2 superseded."""
    for number in (1, 2, 3):
        version = store.add(deploy, Config({"KEY": f"value {number}"}))
        ledger.append(draft(config_version=version.version), version.config)
        ledger.conclude(deploy, number, Outcome(State.SUCCEEDED))
    return ledger


@pytest.fixture
def tamper(home: Home, filled: Ledger) -> Tamper:
    """Runs a script on the database without its triggers; `fit` and `grow` are there for those who know how hashes are made.

    `rewrite` makes the hashes and peaks of all entries anew.
    """

    def run(script: str) -> None:
        with closing(sqlite3.connect(home.database)) as connection:
            connection.create_function("fit", 7, entry_hash)
            connection.create_function("grow", 3, grow)
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            connection.executescript(script.replace("REWRITE", ""))
            if "REWRITE" in script:
                _rewrite(connection)

    return run


def _rewrite(connection: sqlite3.Connection) -> None:
    peaks = NO_PEAKS
    for (position,) in connection.execute("SELECT position FROM ledger ORDER BY position").fetchall():
        connection.execute(f"{_REHASH} WHERE position = ?", (position,))
        (leaf,) = connection.execute("SELECT hash FROM ledger WHERE position = ?", (position,)).fetchone()
        peaks = grow(peaks, position - 1, leaf)
        connection.execute("UPDATE ledger SET peaks = ? WHERE position = ?", (peaks, position))
    connection.commit()


def test_a_ledger_as_it_was_written_is_good(filled: Ledger) -> None:
    assert _found(filled) == (8, None)


def test_a_ledger_without_entries_is_good(ledger: Ledger) -> None:
    assert _found(ledger) == (0, None)


DOES_NOT_FIT = "it is not what was written: its hash does not fit"
DOES_NOT_FOLLOW = "it does not follow on the entries before"
CHANGED, REMOVED, ADDED, MOVED = "changed", "removed", "added", "moved"


@pytest.mark.parametrize(
    ("script", "first_bad", "number", "reason"),
    [
        pytest.param(*case, id=f"{index} {name}")
        for index, (name, *case) in enumerate(
            (
                (CHANGED, "UPDATE ledger SET body = replace(body, 'try', 'no') WHERE position = 3", 3, 2, DOES_NOT_FIT),
                (CHANGED, "UPDATE ledger SET at = '2020-01-01T00:00:00.000Z' WHERE position = 7", 7, 3, DOES_NOT_FIT),
                (CHANGED, "UPDATE ledger SET hash = zeroblob(32) WHERE position = 2", 2, 1, DOES_NOT_FIT),
                (CHANGED, "UPDATE ledger SET peaks = zeroblob(64) WHERE position = 3", 3, 2, DOES_NOT_FOLLOW),
                (CHANGED, "UPDATE ledger SET kind = 'destroyed' WHERE position = 4", 4, 2, DOES_NOT_FIT),
                (CHANGED, "UPDATE ledger SET app = 'other' WHERE position = 4", 4, 2, DOES_NOT_FIT),
                (CHANGED, "UPDATE ledger SET body = x'00' || body WHERE position > 1", 2, 1, DOES_NOT_FIT),
                (CHANGED, "UPDATE ledger SET body = CAST(x'ff' AS TEXT) WHERE position = 6", 6, 3, DOES_NOT_FIT),
                (
                    CHANGED,
                    (
                        "UPDATE ledger SET body = replace(body, 'succeeded', 'failed') WHERE position = 2;"
                        f"{_REHASH} WHERE position = 2"
                    ),
                    2,
                    1,
                    DOES_NOT_FOLLOW,
                ),
                (REMOVED, "DELETE FROM ledger WHERE position = 1", 1, None, "it is missing"),
                (REMOVED, "DELETE FROM ledger WHERE position = 4", 4, None, "it is missing"),
                (
                    REMOVED,
                    (
                        "DELETE FROM ledger WHERE position = 4;"
                        "UPDATE ledger SET position = -position WHERE position > 4;"
                        "UPDATE ledger SET position = -position - 1 WHERE position < 0;"
                        f"{_REHASH} WHERE position >= 4"
                    ),
                    4,
                    1,
                    DOES_NOT_FOLLOW,
                ),
                (
                    MOVED,
                    (
                        "UPDATE ledger SET position = 100 WHERE position = 2;"
                        "UPDATE ledger SET position = 2 WHERE position = 3;"
                        "UPDATE ledger SET position = 3 WHERE position = 100"
                    ),
                    2,
                    2,
                    DOES_NOT_FIT,
                ),
                (
                    MOVED,
                    (
                        "UPDATE ledger SET position = 100 WHERE position = 4;"
                        "UPDATE ledger SET position = 4 WHERE position = 5;"
                        f"UPDATE ledger SET position = 5 WHERE position = 100; {_REHASH}"
                    ),
                    4,
                    1,
                    DOES_NOT_FOLLOW,
                ),
                (
                    ADDED,
                    f"INSERT INTO ledger SELECT 9, app, deploy, 'release', 4, at, body, salt, x'', peaks {_LAST}",
                    9,
                    4,
                    DOES_NOT_FIT,
                ),
                (
                    ADDED,
                    (
                        f"INSERT INTO ledger SELECT 0, app, deploy, kind, 9, at, body, salt, x'', peaks {_LAST};"
                        f"{_REHASH} WHERE position = 0"
                    ),
                    0,
                    9,
                    "it has no place among the others",
                ),
                (
                    ADDED,
                    (
                        "DROP INDEX ledger_once;"
                        "INSERT INTO ledger SELECT 9, app, deploy, 'outcome', 3, at, body, salt, x'', x'' "
                        "FROM ledger WHERE position = 7; REWRITE"
                    ),
                    9,
                    3,
                    "it is a second entry of the kind outcome",
                ),
                (
                    ADDED,
                    f"INSERT INTO ledger SELECT 9, app, deploy, 'release', 9, at, body, salt, x'', x'' {_LAST}; REWRITE",
                    9,
                    9,
                    "it cannot be read",
                ),
                (
                    ADDED,
                    (
                        "INSERT INTO ledger SELECT 9, app, deploy, 'release', 4, at, body, salt, x'', x'' "
                        "FROM ledger WHERE position = 6; REWRITE"
                    ),
                    9,
                    4,
                    "it holds another release",
                ),
                (
                    ADDED,
                    (
                        f"INSERT INTO ledger SELECT 9, app, deploy, 'pinned', 4, at, '{{\"act\": 1}}', '', x'', x'' {_LAST};"
                        "REWRITE"
                    ),
                    9,
                    4,
                    "it is about a release that is not there",
                ),
                (
                    ADDED,
                    f"INSERT INTO ledger SELECT 9, app, deploy, 'unheard', 3, at, '{{}}', '', x'', x'' {_LAST}; REWRITE",
                    9,
                    3,
                    "it cannot be read",
                ),
            )
        )
    ],
)
def test_the_first_bad_entry_is_named(
    filled: Ledger, tamper: Tamper, script: str, first_bad: int, number: int | None, reason: str
) -> None:
    tamper(script)
    fault = filled.verify().fault
    assert fault is not None
    assert (fault.position, fault.number, fault.reason) == (first_bad, number, reason)


def test_the_deploy_whose_entry_is_bad_is_named(
    filled: Ledger, tamper: Tamper, draft: Callable[..., Draft], deploy: Deploy
) -> None:
    filled.append(draft(to=Deploy(deploy.app, parse_deploy_name("staging"))), Config())
    tamper("UPDATE ledger SET at = '' WHERE deploy = 'staging'")
    assert _found(filled) == (8, Fault(9, DOES_NOT_FIT, "shop", "staging", 1))


def _found(ledger: Ledger) -> tuple[int, Fault | None]:
    found = ledger.verify()
    return found.checkpoint.size, found.fault


def _bad(entries: int, position: int, number: int, reason: str) -> tuple[int, Fault]:
    return entries, Fault(position, reason, "shop", "production", number)


@pytest.mark.parametrize("name", ["release.json", "env.age"])
def test_a_changed_or_missing_file_of_a_release_is_found(home: Home, filled: Ledger, deploy: Deploy, name: str) -> None:
    path = home.release(deploy, 2) / name
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"2", b"3"))
    assert _found(filled) == _bad(8, 3, 2, f"{name} was changed")
    path.unlink()
    assert _found(filled) == _bad(8, 3, 2, f"{name} is missing")


def test_a_tail_that_was_cut_off_is_told_by_what_it_named(
    home: Home, filled: Ledger, tamper: Tamper, deploy: Deploy
) -> None:
    for number in (2, 3):
        (home.release(deploy, number) / "checkpoint").unlink()
    home.run(deploy).mkdir()
    (home.run(deploy) / "current").symlink_to("../releases/v3")
    tamper("DELETE FROM ledger WHERE position > 5")
    assert _found(filled) == _bad(5, 6, 3, "it is missing: the machine has this release")
    (home.run(deploy) / "current").unlink()
    assert _found(filled) == (5, None)  # v3 may have been left by a command that was killed
    tamper("DELETE FROM ledger WHERE position > 2")
    assert _found(filled) == _bad(2, 3, 3, "it is missing: the machine has this release")


def test_a_changed_config_version_is_found(filled: Ledger, tamper: Tamper, deploy: Deploy) -> None:
    tamper("UPDATE config_versions SET body = replace(body, 'A', 'B') WHERE version = 3")
    assert _found(filled) == _bad(8, 6, 3, "config version 3 was changed")
    tamper("UPDATE config_versions SET body = '' WHERE version = 2")
    assert _found(filled) == _bad(8, 3, 2, "config version 2 was changed")
    tamper("UPDATE config_versions SET body = NULL WHERE version = 2")
    assert _found(filled) == _bad(8, 3, 2, "config version 2 is missing")


def test_opening_puts_dropped_triggers_back(home: Home, filled: Ledger, tamper: Tamper) -> None:
    tamper("SELECT 1")
    with Ledger(home):
        pass
    with (
        closing(sqlite3.connect(home.database)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="never removed"),
    ):
        connection.execute("DELETE FROM ledger")
