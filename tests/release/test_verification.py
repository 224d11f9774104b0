"""What `trivet releases verify` finds after somebody dropped the triggers, or wrote to a release folder."""

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from trivet.model.config import Config
from trivet.model.home import Home
from trivet.model.names import Deploy, parse_deploy_name
from trivet.model.release import Draft, Outcome, State
from trivet.release import ConfigStore, Ledger, Verification
from trivet.release.entry import entry_hash

Tamper = Callable[[str], None]

_HASH = "fit(app, deploy, position, kind, number, at, body, previous)"


@pytest.fixture
def filled(ledger: Ledger, store: ConfigStore, draft: Callable[..., Draft], deploy: Deploy) -> Ledger:
    """v1 to v3, each good: entries 1 to 6."""
    for number in (1, 2, 3):
        version = store.add(deploy, Config({"KEY": f"value {number}"}))
        ledger.append(draft(config_version=version.version), version.config)
        ledger.conclude(deploy, number, Outcome(State.SUCCEEDED))
    return ledger


@pytest.fixture
def tamper(home: Home, filled: Ledger) -> Tamper:
    """Runs a script on the database without its triggers; `fit` is there for those who know how entries are hashed."""

    def run(script: str) -> None:
        with closing(sqlite3.connect(home.database)) as connection:
            connection.create_function("fit", 8, entry_hash)
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            connection.executescript(script)

    return run


def test_a_ledger_as_it_was_written_is_good(filled: Ledger, deploy: Deploy) -> None:
    assert filled.verify(deploy) == Verification(entries=6)


def test_a_deploy_without_entries_is_good(ledger: Ledger, deploy: Deploy) -> None:
    assert ledger.verify(deploy) == Verification(entries=0)


DOES_NOT_FIT = "it is not what was written: its hash does not fit"
DOES_NOT_FOLLOW = "it does not follow on the entry before"


@pytest.mark.parametrize(
    ("script", "first_bad", "number", "reason"),
    [
        ("UPDATE ledger SET body = replace(body, 'try', 'why not') WHERE position = 3", 3, 2, DOES_NOT_FIT),
        ("UPDATE ledger SET at = '2020-01-01T00:00:00.000Z' WHERE position = 6", 6, 3, DOES_NOT_FIT),
        ("UPDATE ledger SET hash = previous WHERE position = 2", 2, 1, DOES_NOT_FIT),
        ("UPDATE ledger SET kind = 'destroyed' WHERE position = 4", 4, 2, DOES_NOT_FIT),
        ("UPDATE ledger SET body = x'00' || body WHERE position > 1", 2, 1, DOES_NOT_FIT),
        (
            (
                "UPDATE ledger SET body = replace(body, 'succeeded', 'failed') WHERE position = 2;"
                f"UPDATE ledger SET hash = {_HASH} WHERE position = 2"
            ),
            3,
            2,
            DOES_NOT_FOLLOW,
        ),
        ("UPDATE ledger SET body = CAST(x'ff' AS TEXT) WHERE position = 5", 5, 3, DOES_NOT_FIT),
        ("DELETE FROM ledger WHERE position = 1", 1, None, "it is missing"),
        ("DELETE FROM ledger WHERE position = 4", 4, None, "it is missing"),
        (
            (
                "DELETE FROM ledger WHERE position = 4;"
                "UPDATE ledger SET position = position - 1 WHERE position > 4;"
                f"UPDATE ledger SET hash = {_HASH} WHERE position >= 4"
            ),
            4,
            3,
            DOES_NOT_FOLLOW,
        ),
        (
            "INSERT INTO ledger SELECT app, deploy, 7, 'release', 4, at, body, hash, '' FROM ledger WHERE position = 6",
            7,
            4,
            DOES_NOT_FIT,
        ),
        (
            "INSERT INTO ledger SELECT app, deploy, 0, kind, 9, at, body, previous, '' FROM ledger LIMIT 1",
            0,
            9,
            DOES_NOT_FIT,
        ),
        (
            (
                "DROP INDEX ledger_once;"
                "INSERT INTO ledger SELECT app, deploy, 7, 'outcome', 3, at, body, hash, '' FROM ledger WHERE position = 6;"
                f"UPDATE ledger SET hash = {_HASH} WHERE position = 7"
            ),
            7,
            3,
            "it is a second outcome",
        ),
        (
            (
                "INSERT INTO ledger SELECT app, deploy, 7, 'release', 9, at, body, hash, '' FROM ledger WHERE position = 6;"
                f"UPDATE ledger SET hash = {_HASH} WHERE position = 7"
            ),
            7,
            9,
            "it cannot be read",
        ),
    ],
)
def test_the_first_bad_entry_is_named(
    filled: Ledger, tamper: Tamper, deploy: Deploy, script: str, first_bad: int, number: int | None, reason: str
) -> None:
    tamper(script)
    found = filled.verify(deploy)
    assert (found.first_bad, found.number, found.reason) == (first_bad, number, reason)


def test_another_deploys_ledger_is_not_blamed(
    filled: Ledger, tamper: Tamper, draft: Callable[..., Draft], deploy: Deploy
) -> None:
    other = Deploy(deploy.app, parse_deploy_name("staging"))
    filled.append(draft(to=other), Config())
    tamper("UPDATE ledger SET at = '' WHERE deploy = 'staging'")
    assert filled.verify(deploy).first_bad is None
    assert filled.verify(other).first_bad == 1


@pytest.mark.parametrize("name", ["release.json", "env.json"])
def test_a_changed_or_missing_file_of_a_release_is_found(home: Home, filled: Ledger, deploy: Deploy, name: str) -> None:
    path = home.release(deploy, 2) / name
    path.chmod(0o600)
    path.write_text(path.read_text().replace("2", "3"))
    assert filled.verify(deploy) == Verification(6, 3, 2, f"{name} was changed")
    path.unlink()
    assert filled.verify(deploy) == Verification(6, 3, 2, f"{name} is missing")


def test_a_tail_that_was_cut_off_is_told_by_what_it_named(
    home: Home, filled: Ledger, tamper: Tamper, deploy: Deploy
) -> None:
    home.run(deploy).mkdir()
    (home.run(deploy) / "current").symlink_to("../releases/v3")
    tamper("DELETE FROM ledger WHERE position > 4")
    assert filled.verify(deploy) == Verification(4, 5, 3, "it is missing: the machine has this release")
    (home.run(deploy) / "current").unlink()
    assert filled.verify(deploy) == Verification(4)  # v3 may have been left by a command that was killed
    tamper("DELETE FROM ledger WHERE position > 2")
    assert filled.verify(deploy) == Verification(2, 3, 3, "it is missing: the machine has this release")


def test_a_changed_config_version_is_found(filled: Ledger, tamper: Tamper, deploy: Deploy) -> None:
    tamper("UPDATE config_versions SET body = replace(body, 'value 3', 'other') WHERE version = 3")
    assert filled.verify(deploy) == Verification(6, 5, 3, "config version 3 was changed")
    tamper("UPDATE config_versions SET body = '' WHERE version = 2")
    assert filled.verify(deploy) == Verification(6, 3, 2, "config version 2 was changed")
    tamper("UPDATE config_versions SET body = NULL WHERE version = 2")
    assert filled.verify(deploy) == Verification(6, 3, 2, "config version 2 is missing")


def test_opening_puts_dropped_triggers_back(home: Home, filled: Ledger, tamper: Tamper) -> None:
    tamper("SELECT 1")
    with Ledger(home):
        pass
    with (
        closing(sqlite3.connect(home.database)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="never removed"),
    ):
        connection.execute("DELETE FROM ledger")
