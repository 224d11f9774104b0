"""The journal: what happened to a deploy's processes and what people did, whatever happens to the journal itself."""

import re
from pathlib import Path

import pytest

from run.shop import PATIENCE_S, PYTHON, WEB, Shop, kill, wait_until
from trivet.errors import RollOutFailed
from trivet.model.event import Event, EventKind
from trivet.model.process import ProcessType
from trivet.model.release import Act, Actor
from trivet.run.events import FULL_BYTES, journal_path, line_of, put_aside

ADA = Act(Actor("ada", "desk"), "the sale begins")
BREAKS = (
    "import os, time\nmarker = os.environ['TRIVET_STORAGE'] + '/broken'\n"
    "while not os.path.exists(marker):\n    time.sleep(0.01)\nraise SystemExit(3)"
)
LONG = "x" * 1000


def _events(shop: Shop, *kinds: EventKind) -> list[Event]:
    return [event for event in shop.machine.events(shop.deploy) if not kinds or event.kind in kinds]


def _told(shop: Shop, *kinds: EventKind) -> list[str]:
    """The journal in words, without times and pids."""
    return [_words(event) for event in _events(shop, *kinds)]


def _words(event: Event) -> str:
    release = f"v{event.release}" if event.release else ""
    counts = f"{dict(event.before or {})} to {dict(event.counts)}" if event.counts is not None else ""
    by = f"by {event.by.actor}: {event.by.reason}" if event.by else ""
    return " ".join(filter(None, (event.kind.value, release, event.process, event.how, counts, by)))


def _wait_for(shop: Shop, kind: EventKind, count: int = 1) -> None:
    wait_until(lambda: len(_events(shop, kind)) >= count)


def _break(shop: Shop) -> Path:
    """A worker runs that exits with 3 again and again once this file is there."""
    shop.worker(1, BREAKS)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    return shop.home.storage(shop.deploy) / "broken"


def test_the_story_of_a_deploy_from_its_first_roll_out_to_the_end(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1}, ADA)
    shop.machine.restart(shop.deploy, "worker.1", ADA)
    for _ in range(2):  # what is so already is no news
        shop.machine.stop(shop.deploy, ADA)
    for _ in range(2):
        shop.machine.start(shop.deploy, ADA)
    shop.machine.down(ADA)
    shop.machine.up(ADA)
    told = _told(shop)
    ended = [line for line in told if line.startswith("ended")]
    assert [line for line in told if line not in ended] == [
        "started v1 web.1",
        "ready v1 web.1",
        "switched v1",
        "started v1 worker.1",
        "ready v1 worker.1",
        "scaled v1 {'worker': 0} to {'worker': 1} by ada@desk: the sale begins",
        "started v1 worker.1",
        "ready v1 worker.1",
        "deploy_restarted v1 worker.1 by ada@desk: the sale begins",
        "deploy_stopped v1 by ada@desk: the sale begins",
        "started v1 web.1",
        "started v1 worker.1",
        "deploy_started v1 by ada@desk: the sale begins",
        "supervisor_down by ada@desk: the sale begins",
        "started v1 web.1",
        "started v1 worker.1",
        "supervisor_up v1 0 of its processes still ran, 2 started by ada@desk: the sale begins",
    ]
    assert sorted(line.split()[2] for line in ended) == ["web.1"] * 2 + ["worker.1"] * 3


def test_a_crash_says_how_and_which_process_and_what_became_of_it(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    killed = shop.processes("web.1")[0].pid
    kill(killed or 0)
    _wait_for(shop, EventKind.RESTARTED)
    crashed, restarted = _events(shop)[-2:]
    assert _words(crashed) == "crashed v1 web.1 was ended by SIGKILL"
    assert (crashed.pid, restarted.pid) == (killed, shop.processes("web.1")[0].pid)
    assert _words(restarted) == "restarted v1 web.1"
    assert crashed.at <= restarted.at
    assert (crashed.after_s or 0) > 0


def test_an_app_that_exits_with_3_again_and_again_is_told_each_time(shop: Shop) -> None:
    _break(shop).touch()
    _wait_for(shop, EventKind.CRASHED, 4)
    told = _told(shop, EventKind.CRASHED, EventKind.RESTARTED)
    assert told[:6] == ["crashed v1 worker.1 exited with 3", "restarted v1 worker.1"] * 3


def test_what_does_not_come_up_is_told_with_its_reason(shop: Shop) -> None:
    code = (
        "import os, signal\nif os.path.exists(os.environ['TRIVET_STORAGE'] + '/broken'):\n    raise SystemExit(3)\n"
        "signal.pause()"
    )
    # Whatever is to fail has as long to do so, on a machine that has much else to do as well.
    kind = ProcessType("worker", f"{PYTHON} w.py", settle_s=5.0, grace_s=PATIENCE_S)
    for number in (1, 2):
        shop.release(number, {"w.py": code}, (kind,))
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1}, ADA)
    (shop.home.storage(shop.deploy) / "broken").touch()
    shop.roll_out(2)
    for ask in (
        lambda: shop.machine.scale(shop.deploy, {"worker": 2}, ADA),
        lambda: shop.machine.restart(shop.deploy, "worker", ADA),
    ):
        with pytest.raises(RollOutFailed):
            ask()
    told = [re.sub(r" after [0-9.]+ s", "", line) for line in _told(shop)]
    assert [line for line in told[4:] if not line.startswith("started")] == [
        "failed v2 worker.1 exited with 3",
        "roll_out_failed v2 worker.1 exited with 3",
        "failed v1 worker.2 exited with 3",
        "scale_failed v1 worker.2 exited with 3 {'worker': 1} to {'worker': 2} by ada@desk: the sale begins",
        "failed v1 worker.1 exited with 3",
        "restart_failed v1 worker worker.1 exited with 3 by ada@desk: the sale begins",
    ]


def test_a_supervisor_that_comes_up_says_what_it_found_and_what_became_of_the_roll_out(shop: Shop) -> None:
    shop.web(1, WEB)
    shop.ok(1)
    shop.web(2, "import time; time.sleep(600)")
    shop.begin(2)
    wait_until(lambda: len(shop.pids()) == 2)
    before = shop.pids()
    shop.kill_supervisor()
    shop.machine.up(ADA)
    _wait_for(shop, EventKind.ENDED)
    adopted = sorted(_events(shop, EventKind.ADOPTED), key=lambda event: event.release or 0)
    assert [event.pid for event in adopted] == [before["v1.web.1"], before["v2.web.1"]]
    assert _events(shop, EventKind.ENDED)[0].pid == before["v2.web.1"]
    assert _told(shop, EventKind.SUPERVISOR_UP, EventKind.ROLL_OUT_FAILED) == [
        "supervisor_up v1 1 of its processes still ran, 0 started by ada@desk: the sale begins",
        "roll_out_failed v2 interrupted: the supervisor ended before all of its processes were ready",
    ]


def test_a_release_of_a_stopped_deploy_is_told_to_run_later(shop: Shop) -> None:
    shop.shop(1)
    shop.shop(2)
    shop.ok(1)
    shop.machine.stop(shop.deploy)
    shop.machine.scale(shop.deploy, {"worker": 2})
    shop.ok(2)
    assert _told(shop, EventKind.SCALED, EventKind.SWITCHED) == [
        "switched v1",
        "scaled v1 {'worker': 0} to {'worker': 2}",
        "switched v2 it is stopped: nothing was started",
    ]


@pytest.mark.parametrize(
    ("torn", "told"),
    [
        ('{"at": "2026-11-23T00:00', ["lost a line of run/events/deploy.jsonl cannot be read"]),
        ('{"kind": "danced", "at": "2026"}\n', ["lost a line of run/events/deploy.jsonl cannot be read"]),
        ("\0" * 512, ["lost a line of run/events/deploy.jsonl cannot be read"]),
        ("\n", []),
    ],
    ids=["half a line", "a kind of another version", "what a crash of the machine left", "an empty line"],
)
def test_a_line_that_cannot_be_read_is_told_as_lost_and_the_others_are_read(
    shop: Shop, torn: str, told: list[str]
) -> None:
    shop.shop(1)
    shop.ok(1)
    with journal_path(shop.home, shop.deploy, of_processes=False).open("a") as journal:
        journal.write(torn)
    shop.machine.scale(shop.deploy, {"worker": 1}, ADA)
    assert _told(shop, EventKind.SWITCHED, EventKind.LOST, EventKind.SCALED) == [
        "switched v1",
        *told,
        "scaled v1 {'worker': 0} to {'worker': 1} by ada@desk: the sale begins",
    ]


def test_a_line_that_is_still_being_written_does_not_count(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    before = _told(shop)
    with journal_path(shop.home, shop.deploy, of_processes=True).open("a") as journal:
        journal.write('{"at": "2026')
    assert _told(shop) == before


def test_a_journal_that_cannot_be_written_harms_nothing_and_the_loss_is_told(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    path = journal_path(shop.home, shop.deploy, of_processes=True)
    path.unlink()
    path.mkdir()  # refused, whoever we are: tests may run as root
    (before,) = shop.processes("worker.1")
    kill(before.pid or 0)
    wait_until(lambda: shop.processes("worker.1")[0].pid not in (None, before.pid))
    shop.machine.scale(shop.deploy, {"worker": 2}, ADA)
    path.rmdir()
    kill(shop.processes("worker.1")[0].pid or 0)
    _wait_for(shop, EventKind.RESTARTED)
    processes = [line for line in _told(shop) if "scaled" not in line and "switched" not in line]
    assert processes == [
        "lost events could not be written: 4",
        "crashed v1 worker.1 was ended by SIGKILL",
        "restarted v1 worker.1",
    ]
    assert _told(shop, EventKind.SCALED)[-1].endswith("by ada@desk: the sale begins")
    log = (shop.home.supervisor / "supervisor.log").read_text()
    assert log.count(f"trivet: {path} cannot be written: Is a directory; events are lost until it can\n") == 1


def test_a_journal_on_a_full_disk_harms_nothing(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    path = journal_path(shop.home, shop.deploy, of_processes=True)
    path.unlink()
    path.symlink_to("/dev/full")
    killed = shop.processes("web.1")[0].pid
    kill(killed or 0)
    wait_until(lambda: shop.processes("web.1")[0].pid not in (None, killed))
    assert shop.fetch().startswith("v1 ")
    shop.machine.restart(shop.deploy, None, ADA)
    path.unlink()  # before anybody reads it: /dev/full never ends
    assert _told(shop, EventKind.DEPLOY_RESTARTED) == ["deploy_restarted v1 by ada@desk: the sale begins"]


def test_the_journal_stays_small_in_a_crash_loop_and_keeps_the_newest_and_what_people_did(shop: Shop) -> None:
    marker = _break(shop)
    path = journal_path(shop.home, shop.deploy, of_processes=True)
    older, newer = (
        Event("2026-11-23T00:00:00.000Z", EventKind.CRASHED, 1, name, how=LONG) for name in ("old.1", "new.1")
    )
    count = FULL_BYTES // len(line_of(newer))
    put_aside(path).write_bytes(line_of(older) * count)
    path.write_bytes(line_of(newer) * count)
    marker.touch()
    wait_until(lambda: b"old.1" not in put_aside(path).read_bytes() and path.exists())
    assert path.stat().st_size + put_aside(path).stat().st_size < 2 * FULL_BYTES
    told = _told(shop)
    assert told.count(f"crashed v1 new.1 {LONG}") == count
    assert told.count(f"crashed v1 old.1 {LONG}") == 0
    assert "crashed v1 worker.1 exited with 3" in told
    assert "scaled v1 {'worker': 0} to {'worker': 1}" in told


def test_a_destroyed_deploy_leaves_no_journal_and_hurts_no_other(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    other = shop.beside("other")
    other.shop(1)
    other.ok(1)
    shop.machine.destroy(shop.deploy)
    other.machine.restart(other.deploy, None, ADA)
    assert _told(shop) == []
    assert not shop.home.run(shop.deploy).exists()
    assert "deploy_restarted v1 by ada@desk: the sale begins" in _told(other)
    assert "Traceback" not in (shop.home.supervisor / "supervisor.log").read_text()
