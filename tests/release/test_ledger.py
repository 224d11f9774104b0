"""The ledger, used as the flows use it."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from trivet.errors import LedgerError, UnknownApp, UnknownRelease
from trivet.model.build import Build
from trivet.model.config import Config
from trivet.model.document import read_document
from trivet.model.home import Home
from trivet.model.names import Deploy, parse_app_name, parse_deploy_name
from trivet.model.release import Act, Actor, Draft, Outcome, Release, State
from trivet.release import ConfigStore, Ledger

MakeDraft = Callable[..., Draft]

GOOD = Outcome(State.SUCCEEDED, timings_s={"ready": 0.25})
BAD = Outcome(State.FAILED, "web.1 exited with 1", ("Traceback", "KeyError: 'DATABASE_URL'"))
SECRET = "correct-horse-battery-staple"


def test_a_release_is_written_once_and_read_back_as_it_was(ledger: Ledger, draft: MakeDraft, deploy: Deploy) -> None:
    released = ledger.append(draft(reason="sell tea"), Config())
    record = ledger.record(deploy, 1)
    assert record.release == released
    assert (released.number, released.reason, released.name) == (1, "sell tea", "v1")
    assert (record.outcome, record.ended_at) == (Outcome(State.PENDING), None)


def test_numbers_count_from_one_in_each_deploy(ledger: Ledger, draft: MakeDraft, deploy: Deploy) -> None:
    staging = Deploy(deploy.app, parse_deploy_name("staging"))
    numbers = [ledger.append(draft(to=to), Config()).number for to in (deploy, staging, deploy, deploy, staging)]
    assert numbers == [1, 1, 2, 3, 2]


def test_the_folder_holds_the_release_and_its_config_for_its_owner_alone(
    home: Home, ledger: Ledger, store: ConfigStore, draft: MakeDraft, deploy: Deploy
) -> None:
    version = store.add(deploy, Config({"TOKEN": SECRET}))
    released = ledger.append(draft(config_version=version.version), version.config)
    folder = home.release(deploy, 1)
    assert read_document(Release, (folder / "release.json").read_text(), name="release.json") == released
    assert SECRET not in (folder / "env.age").read_text()
    assert {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in (folder, *folder.iterdir())} == {
        "v1": "0o700",
        "release.json": "0o400",
        "env.age": "0o600",
    }


def test_no_config_value_is_in_the_ledger(ledger: Ledger, store: ConfigStore, draft: MakeDraft, deploy: Deploy) -> None:
    version = store.add(deploy, Config({"TOKEN": SECRET}))
    ledger.append(draft(config_version=version.version), version.config)
    assert SECRET not in repr(ledger.entries(deploy))
    assert SECRET not in repr(version)


def test_a_config_other_than_the_stored_version_is_not_released(
    home: Home, ledger: Ledger, store: ConfigStore, draft: MakeDraft, deploy: Deploy
) -> None:
    store.add(deploy, Config({"TOKEN": SECRET}))
    with pytest.raises(ValueError, match="not what is stored as version 1 of shop/production") as caught:
        ledger.append(draft(config_version=1), Config({"TOKEN": "other"}))
    assert "other" not in str(caught.value)
    assert ledger.entries(deploy) == ()
    assert not home.releases(deploy).exists()


def test_an_outcome_is_an_entry_of_its_own(ledger: Ledger, draft: MakeDraft, deploy: Deploy) -> None:
    ledger.append(draft(), Config())
    before = ledger.entries(deploy)
    ledger.conclude(deploy, 1, BAD)
    record = ledger.record(deploy, 1)
    assert record.outcome == BAD
    assert record.ended_at is not None
    assert ledger.entries(deploy)[:-1] == before
    assert [entry.kind for entry in ledger.entries(deploy)] == ["release", "outcome"]


def test_a_second_outcome_is_refused(ledger: Ledger, draft: MakeDraft, deploy: Deploy) -> None:
    ledger.append(draft(), Config())
    ledger.conclude(deploy, 1, BAD)
    with pytest.raises(LedgerError) as caught:
        ledger.conclude(deploy, 1, GOOD)
    at = ledger.record(deploy, 1).ended_at
    assert caught.value.message == f"v1 of shop/production has an outcome already: it failed at {at}."
    assert caught.value.hint == "An outcome is written once. Deploy again for a new release."
    assert ledger.record(deploy, 1).outcome == BAD


def test_a_pending_outcome_is_none(ledger: Ledger, draft: MakeDraft, deploy: Deploy) -> None:
    ledger.append(draft(), Config())
    with pytest.raises(ValueError, match="succeeded or failed"):
        ledger.conclude(deploy, 1, Outcome(State.PENDING))


@pytest.mark.parametrize(
    ("made", "hint"),
    [(0, "It has none yet: `trivet deploy` makes one."), (1, "It has v1 to v1."), (3, "It has v1 to v3.")],
)
def test_an_unknown_release_is_told_what_there_is(
    ledger: Ledger, draft: MakeDraft, deploy: Deploy, made: int, hint: str
) -> None:
    for _ in range(made):
        ledger.append(draft(), Config())
    for action in (lambda: ledger.record(deploy, 9), lambda: ledger.conclude(deploy, 9, GOOD)):
        with pytest.raises(UnknownRelease) as caught:
            action()
        assert (caught.value.message, caught.value.hint) == ("shop/production has no release v9.", hint)


def test_records_come_newest_first_and_no_more_than_asked_for(ledger: Ledger, draft: MakeDraft, deploy: Deploy) -> None:
    for _ in range(4):
        ledger.append(draft(), Config())
    assert [record.release.number for record in ledger.records(deploy)] == [4, 3, 2, 1]
    assert [record.release.number for record in ledger.records(deploy, limit=2)] == [4, 3]


def test_a_walk_reads_what_is_asked_for_and_no_more(ledger: Ledger, draft: MakeDraft, deploy: Deploy) -> None:
    for _ in range(3):
        ledger.append(draft(), Config())
    assert [record.release.number for record in ledger.walk(deploy)] == [3, 2, 1]
    walk = ledger.walk(deploy)
    assert next(walk).release.number == 3
    del walk
    ledger.append(draft(), Config())
    assert next(ledger.walk(deploy)).release.number == 4


def test_the_current_release_is_the_newest_good_one(ledger: Ledger, draft: MakeDraft, deploy: Deploy) -> None:
    assert ledger.current(deploy) is None
    for outcome in (BAD, GOOD, GOOD, BAD):
        ledger.conclude(deploy, ledger.append(draft(), Config()).number, outcome)
    ledger.append(draft(), Config())
    current = ledger.current(deploy)
    assert current is not None
    assert current.release.number == 3


def test_pending_releases_are_those_without_an_outcome(ledger: Ledger, draft: MakeDraft, deploy: Deploy) -> None:
    for number in (1, 2, 3, 4):
        ledger.append(draft(), Config())
        if number % 2:
            ledger.conclude(deploy, number, GOOD)
    assert [record.release.number for record in ledger.pending(deploy)] == [4, 2]


def test_order_is_by_number_when_the_clock_jumps_back(home: Home, draft: MakeDraft, deploy: Deploy) -> None:
    times = iter(f"2026-11-23T{hour:02}:00:00.000Z" for hour in range(23, 0, -1))
    with Ledger(home, clock=lambda: next(times)) as ledger:
        for _ in range(3):
            ledger.append(draft(), Config())
        assert [record.release.number for record in ledger.records(deploy)] == [3, 2, 1]
        assert ledger.verify().first_bad is None


def test_a_folder_left_by_a_killed_command_is_replaced(
    home: Home, ledger: Ledger, draft: MakeDraft, deploy: Deploy
) -> None:
    left = home.release(deploy, 1)
    left.mkdir(parents=True)
    (left / "env.age").write_text("half of it")
    (left / ".release.json.123").write_text("")
    left.chmod(0o500)
    released = ledger.append(draft(), Config())
    assert sorted(path.name for path in left.iterdir()) == ["release.json"]
    assert read_document(Release, (left / "release.json").read_text(), name="release.json") == released
    assert ledger.verify().first_bad is None


def _lose_the_ledger(home: Home) -> None:
    for path in home.root.glob("trivet.db*"):
        path.unlink()


def _see_refused(home: Home, draft: Draft, found: str) -> None:
    before = sorted(home.apps.rglob("*"))
    with Ledger(home) as ledger, pytest.raises(LedgerError) as caught:
        ledger.append(draft, Config())
    deploy = draft.deploy
    assert caught.value.message == (
        f"The ledger of shop/production does not know {found}, which {home.deploy(deploy)} has: "
        f"{home.database} was lost, or is an older one."
    )
    assert caught.value.hint == (
        "Nothing was changed. Restore the database from a backup. If there is none: `trivet down`, move "
        f"{home.releases(deploy)} and {home.run(deploy)} elsewhere, `trivet up`, and deploy again."
    )
    assert sorted(home.apps.rglob("*")) == before


def test_a_ledger_that_lost_its_entries_takes_no_release_and_removes_none(
    home: Home, draft: MakeDraft, deploy: Deploy
) -> None:
    with Ledger(home) as ledger:
        for _ in range(12):
            ledger.append(draft(), Config())
    _lose_the_ledger(home)
    _see_refused(home, draft(), "v2, v3, v4, v5, v6, v7, v8, v9, v10, v11 and 1 more")
    home.database.write_bytes(b"")
    _see_refused(home, draft(), "v2, v3, v4, v5, v6, v7, v8, v9, v10, v11 and 1 more")


def test_nor_does_one_that_lost_the_only_release_which_runs(home: Home, draft: MakeDraft, deploy: Deploy) -> None:
    with Ledger(home) as ledger:
        ledger.append(draft(), Config())
    home.run(deploy).mkdir()
    (home.run(deploy) / "current").symlink_to("../releases/v1")
    _lose_the_ledger(home)
    _see_refused(home, draft(), "v1")


def test_nor_does_one_that_lost_a_release_which_was_finished(home: Home, draft: MakeDraft, deploy: Deploy) -> None:
    with Ledger(home) as ledger:
        ledger.conclude(deploy, ledger.append(draft(), Config()).number, GOOD)
    _lose_the_ledger(home)
    _see_refused(home, draft(), "v1")


def test_deploys_are_those_with_a_release_or_a_config(
    ledger: Ledger, store: ConfigStore, draft: MakeDraft, deploy: Deploy
) -> None:
    assert ledger.deploys() == ()
    blog = Deploy(parse_app_name("blog"), parse_deploy_name("staging"))
    ledger.append(draft(), Config())
    ledger.append(draft(), Config())
    store.add(blog, Config({"KEY": "value"}))
    store.add(deploy, Config({"KEY": "value"}))
    assert ledger.deploys() == (blog, deploy)


@pytest.fixture
def destroyed(home: Home, ledger: Ledger, store: ConfigStore, draft: MakeDraft, deploy: Deploy, actor: Actor) -> Ledger:
    """A ledger whose deploy had two releases and a secret before it was destroyed."""
    version = store.add(deploy, Config({"TOKEN": SECRET}))
    for _ in range(2):
        number = ledger.append(draft(config_version=version.version), version.config).number
        ledger.conclude(deploy, number, GOOD)
    ledger.destroy(deploy, Act(actor))
    return ledger


def test_a_destroyed_deploy_is_gone_but_its_entries_stay(
    home: Home, destroyed: Ledger, store: ConfigStore, deploy: Deploy
) -> None:
    assert destroyed.deploys() == ()
    assert destroyed.records(deploy) == ()
    assert destroyed.current(deploy) is None
    assert destroyed.pending(deploy) == ()
    assert store.current(deploy).version == 0
    assert not home.releases(deploy).exists()
    kinds = [entry.kind for entry in destroyed.entries(deploy)]
    assert kinds == ["release", "outcome", "release", "outcome", "superseded", "destroyed"]
    assert json.loads(destroyed.entries(deploy)[-1].body)["act"]["actor"]["user"] == "ada"
    assert destroyed.verify().first_bad is None


def test_no_value_of_a_destroyed_deploy_is_left_on_disk(home: Home, destroyed: Ledger) -> None:
    files = [path for path in home.root.rglob("*") if path.is_file()]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def test_a_deploy_made_again_goes_on_counting(
    destroyed: Ledger, store: ConfigStore, draft: MakeDraft, deploy: Deploy
) -> None:
    version = store.add(deploy, Config({"TOKEN": SECRET}))
    assert version.version == 2
    assert destroyed.deploys() == (deploy,)
    assert destroyed.append(draft(config_version=2), version.config).number == 3
    assert [record.release.number for record in destroyed.records(deploy)] == [3]
    with pytest.raises(UnknownRelease) as caught:
        destroyed.record(deploy, 2)
    assert caught.value.hint == "It has v3 to v3."
    assert destroyed.verify().first_bad is None


def test_what_a_killed_destroy_left_goes_when_the_deploy_is_made_again(
    home: Home, destroyed: Ledger, draft: MakeDraft, deploy: Deploy
) -> None:
    for number in (1, 2, 3):
        left = home.release(deploy, number)
        left.mkdir(parents=True)
        (left / "env.age").write_text(SECRET)
    destroyed.append(draft(), Config())
    assert not (home.release(deploy, 3) / "env.age").exists()
    assert [path.name for path in home.releases(deploy).iterdir()] == ["v3"]


def test_a_deploy_with_config_alone_can_be_destroyed_twice_over(
    ledger: Ledger, store: ConfigStore, deploy: Deploy, actor: Actor
) -> None:
    for _ in range(2):
        store.add(deploy, Config({"TOKEN": SECRET}))
        ledger.destroy(deploy, Act(actor))
        assert ledger.deploys() == ()
    assert ledger.verify().first_bad is None


def test_what_does_not_exist_cannot_be_destroyed(ledger: Ledger, deploy: Deploy, actor: Actor) -> None:
    with pytest.raises(UnknownApp) as caught:
        ledger.destroy(deploy, Act(actor))
    assert caught.value.message == "There is no deploy shop/production."
    assert caught.value.hint == "`trivet apps` lists what there is."


def test_the_ledger_outlives_the_release_folders(
    home: Home, ledger: Ledger, draft: MakeDraft, build: Callable[..., Build], deploy: Deploy
) -> None:
    released = ledger.append(draft(build(web="serve", worker="work")), Config())
    for path in home.release(deploy, 1).iterdir():
        path.unlink()
    home.release(deploy, 1).rmdir()
    assert ledger.record(deploy, 1).release == released
    assert ledger.verify().first_bad is None


def test_nobody_else_may_read_the_database(home: Home, ledger: Ledger, draft: MakeDraft) -> None:
    ledger.append(draft(), Config())
    files = [Path(f"{home.database}{suffix}") for suffix in ("", "-wal", "-shm")]
    assert [oct(stat.S_IMODE(path.stat().st_mode)) for path in files] == ["0o600"] * 3
