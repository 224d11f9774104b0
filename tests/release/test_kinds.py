"""What the ledger tells beyond releases: roll-outs, what was superseded, pins, prunes, and of each who did it and why."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from trivet import __version__
from trivet.errors import LedgerError, NotARollbackTarget, UnknownRelease
from trivet.model.config import Config
from trivet.model.home import Home
from trivet.model.names import AppName, Deploy, parse_deploy_name
from trivet.model.pruning import BuildName, BuildState, Change, Pruned
from trivet.model.release import Act, Actor, Draft, Outcome, State
from trivet.release import Ledger

MakeDraft = Callable[..., Draft]

GOOD, BAD = Outcome(State.SUCCEEDED), Outcome(State.FAILED, "web.1 exited with 1")


@pytest.fixture
def release(ledger: Ledger, draft: MakeDraft, deploy: Deploy) -> Callable[..., int]:
    """Makes a release, rolls it out and concludes it."""

    def make(outcome: Outcome = GOOD, to: Deploy = deploy) -> int:
        number = ledger.append(draft(to=to, reason="sell tea"), Config()).number
        ledger.begin_roll_out(to, number)
        ledger.conclude(to, number, outcome)
        return number

    return make


def _told(ledger: Ledger, deploy: Deploy | None = None) -> list[tuple[str, int]]:
    return [(entry.kind, entry.number) for entry in ledger.entries(deploy)]


def _last(ledger: Ledger) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(ledger.entries()[-1].body)
    return body


def test_positions_count_over_all_deploys(ledger: Ledger, release: Callable[..., int], deploy: Deploy) -> None:
    staging = Deploy(deploy.app, parse_deploy_name("staging"))
    release()
    release(to=staging)
    assert [entry.position for entry in ledger.entries()] == [1, 2, 3, 4, 5, 6]
    assert [entry.position for entry in ledger.entries(staging)] == [4, 5, 6]
    assert [entry.position for entry in ledger.story(deploy.app)] == [6, 5, 4, 3, 2, 1]


def test_a_release_tells_which_trivet_made_it_and_who_with_which_key(
    home: Home, ledger: Ledger, draft: MakeDraft, deploy: Deploy
) -> None:
    made = draft()
    key = "SHA256:/HCWZbhLiAOdMh9xVjkk9MZwqhjT10CPF2p+aK/PFVA"
    with_key = Draft(
        deploy, made.build, 0, made.config_change, made.cause, made.reason, Actor("ada", "engine", authority=key)
    )
    released = ledger.append(with_key, Config())
    assert (released.tool_version, released.actor.authority) == (__version__, key)
    assert key in (home.release(deploy, 1) / "release.json").read_text()
    assert key in ledger.entries()[0].body


def test_a_roll_out_tells_which_release_it_is_to_replace(
    ledger: Ledger, release: Callable[..., int], draft: MakeDraft, deploy: Deploy
) -> None:
    ledger.append(draft(), Config())
    ledger.begin_roll_out(deploy, 1)
    assert _last(ledger)["replaces"] is None
    ledger.conclude(deploy, 1, GOOD)
    release(BAD)
    ledger.append(draft(reason="sell more tea"), Config())
    ledger.begin_roll_out(deploy, 3)
    assert _last(ledger) == {
        "act": {
            "actor": {"user": "ada", "host": "engine", "authority": None},
            "reason": "sell more tea",
            "tool_version": __version__,
        },
        "replaces": 1,
    }
    with pytest.raises(LedgerError, match="the release has such an entry"):
        ledger.begin_roll_out(deploy, 3)
    with pytest.raises(UnknownRelease):
        ledger.begin_roll_out(deploy, 4)


def test_a_good_release_supersedes_the_good_one_before_and_no_other(
    ledger: Ledger, release: Callable[..., int], deploy: Deploy
) -> None:
    for outcome in (GOOD, BAD, GOOD, GOOD, BAD):
        release(outcome)
    assert [record.superseded_by for record in ledger.records(deploy)] == [None, None, 4, None, 3]
    assert ledger.record(deploy, 1).outcome == GOOD
    assert _told(ledger)[-6:-3] == [("roll_out", 4), ("outcome", 4), ("superseded", 3)]


def test_outcomes_that_come_late_supersede_no_newer_release(ledger: Ledger, draft: MakeDraft, deploy: Deploy) -> None:
    for _ in range(3):
        ledger.append(draft(), Config())
    for number in (2, 3, 1):
        ledger.conclude(deploy, number, GOOD)
    assert [record.superseded_by for record in ledger.records(deploy)] == [None, 3, 3]
    assert ledger.verify().first_bad is None


def test_an_outcome_tells_who_found_it_out(ledger: Ledger, draft: MakeDraft, deploy: Deploy) -> None:
    ledger.append(draft(), Config())
    ledger.conclude(deploy, 1, BAD, actor=Actor("grace", "mark"))
    assert _last(ledger)["act"]["actor"]["user"] == "grace"
    assert ledger.record(deploy, 1).release.actor.user == "ada"


def test_pins_are_entries_and_the_newest_one_counts(
    ledger: Ledger, release: Callable[..., int], deploy: Deploy, actor: Actor
) -> None:
    release()
    release(BAD)
    act = Act(actor, "the last one with the old schema")
    assert ledger.pin(deploy, 1, act, keep=True)
    assert not ledger.pin(deploy, 1, act, keep=True)
    assert ledger.pins(deploy) == {1}
    assert _last(ledger)["act"]["reason"] == "the last one with the old schema"
    assert ledger.pin(deploy, 1, act, keep=False)
    assert ledger.pins(deploy) == frozenset()
    assert ledger.pin(deploy, 1, act, keep=True)
    assert ledger.pins(deploy) == {1}
    assert [kind for kind, _ in _told(ledger)[-3:]] == ["pinned", "unpinned", "pinned"]
    with pytest.raises(NotARollbackTarget):
        ledger.pin(deploy, 2, act, keep=True)


def test_a_pin_ends_with_its_deploy(
    ledger: Ledger, release: Callable[..., int], draft: MakeDraft, deploy: Deploy, actor: Actor
) -> None:
    release()
    ledger.pin(deploy, 1, Act(actor), keep=True)
    ledger.destroy(deploy, Act(actor, "nobody drinks tea"))
    assert _last(ledger)["act"]["reason"] == "nobody drinks tea"
    ledger.append(draft(), Config())
    assert ledger.pins(deploy) == frozenset()


def test_prunes_are_entries_of_the_apps_that_they_concern(
    ledger: Ledger, release: Callable[..., int], deploy: Deploy, actor: Actor
) -> None:
    release()
    pruned = Pruned(
        tuple(
            Change(BuildName(AppName(app), f"{app}-1"), "c" * 40, "Sell tea", BuildState.PRUNED, size)
            for app, size in (("shop", 5_000), ("blog", 7_000))
        ),
        leftovers_bytes=12,
    )
    ledger.prune(pruned, Act(actor, "make room"))
    shop, blog, rest = ledger.entries()[-3:]
    assert [(entry.app, entry.deploy, entry.number) for entry in (shop, blog, rest)] == [
        ("shop", "", 0),
        ("blog", "", 0),
        ("", "", 0),
    ]
    (change,) = json.loads(shop.body)["changes"]
    assert (change["build"]["id"], change["freed_bytes"]) == ("shop-1", 5_000)
    assert (json.loads(rest.body)["leftovers_bytes"], json.loads(rest.body)["changes"]) == (12, [])
    assert next(ledger.story(deploy.app)) == shop
    assert ledger.deploys() == (deploy,)
    assert ledger.verify().first_bad is None
    before = ledger.entries()
    ledger.prune(Pruned(), Act(actor))
    assert ledger.entries() == before


def test_the_salt_of_a_config_is_in_no_entry_that_is_handed_round(ledger: Ledger, release: Callable[..., int]) -> None:
    release()
    entry = ledger.entries()[0]
    assert len(entry.salt) == 32
    assert entry.salt not in entry.body
    assert json.loads(entry.body)["env_salt"] == ""


def test_a_database_of_the_earlier_form_is_refused_and_left_alone(home: Home) -> None:
    home.root.mkdir()
    with closing(sqlite3.connect(home.database)) as connection:
        connection.execute("CREATE TABLE ledger (app TEXT, deploy TEXT, position INTEGER, previous TEXT, hash TEXT)")
        connection.execute("CREATE TABLE config_versions (app TEXT)")
        connection.execute("INSERT INTO config_versions VALUES ('shop')")
        connection.commit()
    with pytest.raises(LedgerError) as caught:
        Ledger(home)
    assert caught.value.message == (
        f"The database {home.database} was made by an earlier version of Trivet, whose ledger had another form."
    )
    assert caught.value.hint == (
        f"Nothing was changed. `trivet down` ends what runs; move {home.root} elsewhere and deploy the apps again. "
        "Config and storage are still where they were: the earlier version reads them."
    )
    with closing(sqlite3.connect(home.database)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (2,)
