"""The journals, read on as they are written: every event once, through rotation, dead supervisors and deploys to come."""

import contextlib
import select
import time
from collections.abc import Callable, Iterator

import pytest

from run.shop import DEADLINE_S, PATIENCE_S, PYTHON, Shop, kill, wait_until
from trivet.model.event import Event, EventKind, Told
from trivet.model.home import Home
from trivet.model.process import ProcessType
from trivet.run.events import FULL_BYTES, journal_path, line_of, put_aside
from trivet.run.journals import Journals

ENDS = "import os\nraise SystemExit(int(os.environ['STATUS']))"


class Reader:
    """Journals, and all that they have told."""

    def __init__(self, home: Home) -> None:
        self.journals = Journals(home, lambda _: True)
        self.told: list[Told] = []

    def wait_for(self, condition: Callable[["Reader"], object]) -> None:
        """Returns once the condition is true; between two looks it sleeps until the journals have news."""
        deadline = time.monotonic() + DEADLINE_S
        self.told += self.journals.news()
        while not condition(self):
            left_s = deadline - time.monotonic()
            assert left_s > 0, f"it never came true; told: {self.told}"
            assert select.select([self.journals], [], [], left_s)[0], f"nothing more is told: {self.told}"
            self.told += self.journals.news()

    def kinds(self, process: str | None = None) -> list[str]:
        return [each.event.kind for each in self.told if process in (None, each.event.process)]


@pytest.fixture
def reader(home: Home) -> Iterator[Reader]:
    reader = Reader(home)
    with contextlib.closing(reader.journals):
        yield reader


def test_all_that_happens_is_told_with_status_and_signal(reader: Reader, shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    reader.wait_for(lambda reader: "switched" in reader.kinds())
    assert reader.kinds() == ["started", "ready", "switched"]
    kill(shop.processes("web.1")[0].pid or 0)
    reader.wait_for(lambda reader: "restarted" in reader.kinds())
    crashed = reader.told[3].event
    assert (crashed.kind, crashed.status, crashed.signal) == ("crashed", None, "SIGKILL")
    shop.release(
        2, {"w.py": ENDS}, (ProcessType("web", f"{PYTHON} w.py", timeout_s=PATIENCE_S),), config={"STATUS": "3"}
    )
    assert not shop.roll_out(2).succeeded
    reader.wait_for(lambda reader: "roll_out_failed" in reader.kinds())
    failed = next(each.event for each in reader.told if each.event.kind is EventKind.FAILED)
    assert (failed.release, failed.process, failed.status, failed.signal) == (2, "web.1", 3, None)
    shop.fetch()  # the one that was started again has its handler for SIGTERM
    shop.machine.stop(shop.deploy)
    reader.wait_for(lambda reader: "ended" in reader.kinds())
    ended = next(each.event for each in reader.told if each.event.kind is EventKind.ENDED)
    assert (ended.process, ended.status, ended.signal) == ("web.1", 0, None)


def test_a_supervisor_that_is_killed_and_a_deploy_that_comes_later_are_followed(reader: Reader, shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    shop.kill_supervisor()
    shop.machine.up()
    reader.wait_for(lambda reader: "supervisor_up" in reader.kinds())
    other = shop.beside("other")
    other.shop(1)
    other.ok(1)
    reader.wait_for(lambda reader: reader.kinds().count("switched") == 2)
    assert [str(each.deploy) for each in reader.told if each.event.kind is EventKind.SWITCHED] == [
        "shop/production",
        "other/production",
    ]
    other.machine.destroy(other.deploy)
    other.ok(1)
    reader.wait_for(lambda reader: reader.kinds().count("switched") == 3)


def test_nothing_is_told_twice_or_lost_while_files_are_put_aside(reader: Reader, shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    path = journal_path(shop.home, shop.deploy, of_processes=True)
    count = FULL_BYTES // len(line_of(_numbered(0)))
    for full in range(3):
        with path.open("ab") as file:
            file.writelines(line_of(_numbered(full * count + number)) for number in range(count))
        reader.wait_for(lambda reader: len(_numbers(reader)) == (full + 1) * count)  # noqa: B023
        path.replace(put_aside(path))
    kill(shop.processes("web.1")[0].pid or 0)
    reader.wait_for(lambda reader: "restarted" in reader.kinds("web.1"))
    assert _numbers(reader) == list(range(3 * count))
    assert "lost" not in reader.kinds()


def test_who_reads_too_slowly_is_told_that_something_may_be_missing(reader: Reader, shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    reader.wait_for(lambda reader: "switched" in reader.kinds())
    path = journal_path(shop.home, shop.deploy, of_processes=True)
    for number in range(3):
        path.replace(put_aside(path))
        path.write_bytes(line_of(_numbered(number)))
    reader.wait_for(lambda reader: _numbers(reader))
    assert _numbers(reader) == [1, 2]
    (lost,) = (each.event.how for each in reader.told if each.event.kind is EventKind.LOST)
    assert lost == "events may be missing: run/events/processes.jsonl was filled faster than it was read"


def test_the_past_can_be_skipped_and_half_a_line_counts_once_it_is_whole(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    path = journal_path(shop.home, shop.deploy, of_processes=True)
    line = line_of(_numbered(1))
    with path.open("ab") as file:
        file.write(line[:20])
    with contextlib.closing(Reader(shop.home).journals) as journals:
        journals.skip()
        assert journals.news() == ()
        with path.open("ab") as file:
            file.write(line[20:])
        wait_until(lambda: select.select([journals], [], [], 0)[0])
        assert [each.event for each in journals.news()] == [_numbered(1)]


def test_no_event_no_wake(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    with contextlib.closing(Reader(shop.home).journals) as journals:
        journals.news()
        shop.fetch()  # what an app does is no event
        assert not select.select([journals], [], [], 0)[0]


def _numbered(number: int) -> Event:
    return Event("2026-11-23T00:00:00.000Z", EventKind.CRASHED, 1, "made.1", pid=number + 1, how="x" * 1000)


def _numbers(reader: Reader) -> list[int]:
    return [(each.event.pid or 0) - 1 for each in reader.told if each.event.process == "made.1"]
