"""What is scheduled: run by the real supervisor when its time comes, or when somebody asks."""

import os
import time
from dataclasses import replace
from datetime import UTC
from functools import partial

import pytest

from run.shop import DEADLINE_S, WORKER, Shop, wait_until
from support.command import eventually
from trivet.errors import Busy, RunError, UnknownProcess
from trivet.host.sockets import connect_unix, receive
from trivet.model.cron import parse_cron
from trivet.model.document import read_document, write_document
from trivet.model.event import EventKind
from trivet.model.release import Act, Actor, Release
from trivet.model.run import Proof
from trivet.model.schedule import Missed, Overlap, Scheduled
from trivet.model.scheduled_run import ScheduledRun
from trivet.run.schedule_book import Book, book_path, read_book, write_book
from trivet.run.schedule_rules import Due, find_due
from trivet.run.supervisor import launch, link

YEARLY = "0 0 1 1 *"
BY = Act(Actor("ada", "example.org"))


def _release(shop: Shop, number: int, *schedule: Scheduled) -> None:
    """A release with a worker, and this schedule."""
    shop.release(number, {"w.py": WORKER}, {"worker": "sleep 600"})
    path = shop.home.release(shop.deploy, number) / "release.json"
    release = read_document(Release, path.read_text(), name="release.json")
    path.write_text(write_document(replace(release, build=replace(release.build, schedule=schedule))))


def _run(shop: Shop, name: str = "nightly") -> ScheduledRun:
    return shop.machine.run_scheduled(shop.deploy, name, BY, lambda *_: None)


def test_a_run_is_a_process_of_the_current_release_with_a_log_and_a_history(shop: Shop) -> None:
    command = "echo cleaning $TRIVET_RELEASE $TRIVET_PROCESS; test $TRIVET_RELEASE = v1"
    _release(shop, 1, Scheduled("nightly", YEARLY, command))
    _release(shop, 2, Scheduled("nightly", YEARLY, command))
    shop.ok(1)
    good = _run(shop)
    shop.ok(2)
    bad = _run(shop)
    assert (good.outcome, good.process, good.release, good.how) == ("succeeded", "nightly.1", 1, "exited with 0")
    assert (bad.outcome, bad.release, bad.how, bad.by) == ("failed", 2, "exited with 1", "ada@example.org")
    assert bad.output == ("cleaning v2 nightly.1",)
    lines = shop.log("v1.nightly.1").splitlines()
    assert lines[:2] == ["trivet: nightly.1 starts, asked for by ada@example.org", "cleaning v1 nightly.1"]
    assert lines[2].startswith("trivet: nightly.1 exited with 0 after ")
    assert [run.outcome for run in shop.machine.scheduled_runs(shop.deploy, "nightly")] == ["succeeded", "failed"]
    (plight,) = shop.machine.schedule(shop.deploy)
    assert plight.last is not None
    assert (plight.release, plight.last.outcome, plight.next is not None) == (2, "failed", True)
    kinds = [event.kind for event in shop.machine.events(shop.deploy) if event.process == "nightly.1"]
    started, ended, failed = EventKind.RUN_STARTED, EventKind.RUN_ENDED, EventKind.RUN_FAILED
    assert kinds == [started, ended, started, failed]


def _begin(shop: Shop, name: str = "nightly") -> None:
    """A run goes on, and whoever asked for it has gone away."""
    request = {"do": "run_scheduled", "deploy": str(shop.deploy), "name": name, "by": None}
    with connect_unix(launch.socket_path(shop.home), DEADLINE_S) as connection:
        link.send_request(shop.home, connection, request)
        receive(connection)


def _events(shop: Shop, kind: EventKind) -> list[str]:
    return [f"{event.process}: {event.how}" for event in shop.machine.events(shop.deploy) if event.kind is kind]


def _settled_long_ago(shop: Shop, seconds: float) -> None:
    """The book says that nobody has looked at the time since."""
    book = read_book(shop.home, shop.deploy)
    line = replace(book.lines["nightly"], settled_s=time.time() - seconds)
    write_book(shop.home, shop.deploy, Book({"nightly": line}))


def test_a_run_outlives_a_roll_out_and_a_killed_supervisor_and_its_end_is_known(shop: Shop) -> None:
    nightly = Scheduled("nightly", YEARLY, "read line <$TRIVET_STORAGE/pipe; exit 3")
    _release(shop, 1, nightly)
    _release(shop, 2, nightly)
    shop.ok(1)
    pipe = shop.home.storage(shop.deploy) / "pipe"
    os.mkfifo(pipe)
    pipe.chmod(0o666)
    _begin(shop)
    before = shop.pids()["v1.nightly.1"]
    assert shop.ok(2).proof == Proof(())
    with pytest.raises(Busy) as caught:
        _run(shop)
    assert caught.value.message == "nightly runs already (nightly.1)."
    shop.kill_supervisor()
    shop.machine.up()
    assert shop.pids()["v1.nightly.1"] == before
    pipe.write_text("on\n")
    wait_until(lambda: _events(shop, EventKind.RUN_FAILED))
    assert _events(shop, EventKind.RUN_FAILED)[0].startswith("nightly.1: ")
    assert "v1.nightly.1" not in shop.pids()
    assert (shop.home.run(shop.deploy) / "status" / "v1.nightly.1.json").exists() is False


def test_runs_are_of_the_release_that_serves_also_while_the_one_before_is_kept_warm(shop: Shop) -> None:
    for number in (1, 2):
        _release(shop, number, Scheduled("nightly", YEARLY, "true"))
    shop.ok(1)
    runs: list[ScheduledRun] = []

    def report(event: str, _: object) -> None:
        if event == "shifted":
            runs.append(_run(shop))

    assert shop.machine.roll_out(shop.deploy, 2, address=None, report=report).succeeded
    assert [run.release for run in runs] == [2]


def test_a_run_that_ends_while_no_supervisor_runs_is_told(shop: Shop) -> None:
    _release(shop, 1, Scheduled("nightly", YEARLY, "exec sleep 600"))
    shop.ok(1)
    _begin(shop)
    pid = shop.pids()["v1.nightly.1"]
    shop.kill_supervisor()
    shop.end(pid)
    shop.machine.up()
    assert _events(shop, EventKind.RUN_FAILED) == ["nightly.1: ended while no supervisor ran; how is not known"]
    (plight,) = shop.machine.schedule(shop.deploy)
    assert plight.last is not None
    assert plight.last.outcome == "failed"


def test_a_run_is_ended_when_its_time_is_over(shop: Shop) -> None:
    _release(shop, 1, Scheduled("nightly", YEARLY, "exec sleep 600", timeout_s=0.2))
    shop.ok(1)
    run = _run(shop)
    assert (run.outcome, run.how) == ("failed", "took longer than 0.2 s: was ended by SIGTERM")


def test_a_run_that_cannot_start_fails(shop: Shop) -> None:
    _release(shop, 1, Scheduled("nightly", YEARLY, "no-such-program"))
    shop.ok(1)
    run = _run(shop)
    assert (run.outcome, run.how) == ("failed", "exited with 127")


@pytest.mark.parametrize("missed", list(Missed))
def test_times_that_passed_while_no_supervisor_ran_count_as_the_schedule_says(shop: Shop, missed: Missed) -> None:
    _release(shop, 1, Scheduled("nightly", YEARLY, "echo now", missed=missed))
    shop.ok(1)
    wait_until(book_path(shop.home, shop.deploy).exists)
    shop.kill_supervisor()
    _settled_long_ago(shop, 400 * 86400)
    shop.machine.up()
    wait_until(lambda: _events(shop, EventKind.RUN_SKIPPED) or _events(shop, EventKind.RUN_ENDED))
    if missed is Missed.ONCE:
        wait_until(lambda: _events(shop, EventKind.RUN_ENDED) == ["nightly.1: exited with 0"])
    else:
        assert _events(shop, EventKind.RUN_SKIPPED) == ["nightly: missed: nothing could run it then"]
    shop.kill_supervisor()
    shop.machine.up()  # nothing twice
    shop.machine.stop(shop.deploy)
    assert len(_events(shop, EventKind.RUN_SKIPPED)) + len(_events(shop, EventKind.RUN_STARTED)) == 1


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [(Overlap.SKIP, "nightly.1"), (Overlap.QUEUE, "nightly.1"), (Overlap.ALLOW, "nightly.1 nightly.2")],
)
def test_while_a_run_goes_on_the_next_is_skipped_or_follows_or_runs_beside_it(
    shop: Shop, overlap: Overlap, expected: str
) -> None:
    command = "echo $TRIVET_PROCESS >>$TRIVET_STORAGE/began; read line <$TRIVET_STORAGE/pipe"
    _release(shop, 1, Scheduled("nightly", YEARLY, command, overlap=overlap, missed=Missed.ONCE))
    shop.ok(1)
    storage = shop.home.storage(shop.deploy)
    os.mkfifo(storage / "pipe")
    (storage / "pipe").chmod(0o666)
    _begin(shop)
    shop.kill_supervisor()
    _settled_long_ago(shop, 400 * 86400)
    shop.machine.up()  # a time that was missed is due, and no other comes while we look
    wait_until(lambda: read_book(shop.home, shop.deploy).lines["nightly"].settled_s > time.time() - 86400)
    running = sorted(each.process for each in shop.processes() if each.process.startswith("nightly"))
    assert " ".join(running) == expected
    skipped = _events(shop, EventKind.RUN_SKIPPED)
    assert skipped == (["nightly: the run before, nightly.1, goes on"] if overlap is Overlap.SKIP else [])
    waits = read_book(shop.home, shop.deploy).lines["nightly"].waits_for
    assert (waits is not None) is (overlap is Overlap.QUEUE)
    if overlap is Overlap.QUEUE:
        (storage / "pipe").write_text("on\n")
        wait_until(lambda: (storage / "began").read_text().count("nightly.1") == 2)


def test_a_stopped_deploy_runs_nothing_and_ends_what_runs(shop: Shop) -> None:
    _release(shop, 1, Scheduled("nightly", YEARLY, "exec sleep 600", missed=Missed.ONCE))
    shop.ok(1)
    _begin(shop)
    shop.machine.stop(shop.deploy)
    assert shop.processes() == ()
    assert _events(shop, EventKind.RUN_FAILED) == ["nightly.1: was told to end: was ended by SIGTERM"]
    with pytest.raises(RunError) as caught:
        _run(shop)
    assert caught.value.message == "shop/production is stopped."
    (plight,) = shop.machine.schedule(shop.deploy)
    assert (plight.next, plight.why_not) == (None, "stopped")
    _settled_long_ago(shop, 400 * 86400)
    shop.machine.start(shop.deploy)
    assert _run_of_a_minute(shop) == []


def _run_of_a_minute(shop: Shop) -> list[str]:
    """What the timetable has begun by itself since the deploy was started."""
    shop.machine.processes(shop.deploy)  # whatever was to be done soon is done
    return _events(shop, EventKind.RUN_STARTED)[1:]


def test_what_is_not_scheduled_is_named(shop: Shop) -> None:
    _release(shop, 1, Scheduled("nightly", YEARLY, "true"), Scheduled("hourly", "@hourly", "true"))
    _release(shop, 2)
    shop.ok(1)
    with pytest.raises(UnknownProcess) as caught:
        _run(shop, "nihgtly")
    assert (caught.value.message, caught.value.hint) == (
        "shop/production schedules no 'nihgtly'.",
        "It schedules: nightly, hourly.",
    )
    shop.ok(2)
    with pytest.raises(UnknownProcess):
        _run(shop)
    assert shop.machine.schedule(shop.deploy) == ()


@pytest.mark.slow
def test_a_run_begins_when_its_time_comes_and_once(shop: Shop) -> None:
    _release(shop, 1, Scheduled("each", "* * * * *", "echo $TRIVET_PLANNED"))
    shop.ok(1)
    eventually(lambda: _events(shop, EventKind.RUN_ENDED), deadline_s=100.0)
    (run,) = shop.machine.scheduled_runs(shop.deploy, "each")
    assert run.planned is not None
    assert run.began is not None
    assert run.planned.endswith(":00.000Z")
    assert run.planned <= run.began
    assert shop.log("v1.each.1").splitlines()[1] == run.planned


HOUR = 3600.0
NOON = 1_764_417_600.0  # 2025-11-29T12:00:00Z


@pytest.mark.parametrize(
    ("settled_s", "now_s", "missed", "expected"),
    [
        (NOON - 60, NOON - 1, Missed.SKIP, Due(None, None, NOON)),
        (NOON - 60, NOON, Missed.SKIP, Due(NOON, None, NOON + HOUR)),
        (NOON - 60, NOON + 59, Missed.SKIP, Due(NOON, None, NOON + HOUR)),  # a little late
        (NOON - 60, NOON + 61, Missed.SKIP, Due(None, NOON, NOON + HOUR)),  # too late
        (NOON - 60, NOON + 61, Missed.ONCE, Due(NOON, None, NOON + HOUR)),
        (NOON - 60, NOON + 5 * HOUR + 61, Missed.ONCE, Due(NOON, None, NOON + 6 * HOUR)),  # once for all
        (NOON - 60, NOON + 5 * HOUR, Missed.SKIP, Due(NOON + 5 * HOUR, NOON, NOON + 6 * HOUR)),
        (NOON + 1, NOON - HOUR + 1, Missed.SKIP, Due(None, None, NOON + HOUR)),  # set back by an hour: nothing twice
        (NOON + 1, NOON - 24 * HOUR, Missed.SKIP, Due(None, None, NOON - 23 * HOUR)),  # it had been wrong
    ],
)
def test_what_is_due_is_told_from_what_was_dealt_with(
    settled_s: float, now_s: float, missed: Missed, expected: Due
) -> None:
    hourly = partial(parse_cron("@hourly").next_after, zone=UTC)
    assert find_due(hourly, settled_s, now_s, missed) == expected
