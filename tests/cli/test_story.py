"""What the story makes of a journal: crashes in a row are one line, and what people did ends a row."""

from trivet.flows.story import merge
from trivet.flows.story.events import tell_events
from trivet.model.event import Event, EventKind
from trivet.model.names import AppName, Deploy, DeployName
from trivet.model.story import Line, Topic, Window

SHOP = Deploy(AppName("shop"), DeployName("production"))


def _crash(at: str, process: str = "web.1", how: str = "exited with 3", release: int = 7) -> Event:
    return Event(f"2026-11-23T{at}.000Z", EventKind.CRASHED, release, process, how=how)


def _event(at: str, kind: EventKind) -> Event:
    return Event(f"2026-11-23T{at}.000Z", kind, 7, "web.1")


def _told(*events: Event) -> list[str]:
    return [f"{line.at[11:16]} {line.told}" for line in tell_events(SHOP, events)]


def test_crashes_of_the_same_kind_in_a_row_are_one_line() -> None:
    told = _told(
        _crash("10:00:00"),
        _event("10:00:00", EventKind.RESTARTED),
        _crash("10:05:00", "worker.1"),
        _crash("10:10:00"),
        _crash("11:10:00"),
    )
    assert told == [
        "11:10 web.1 of v7 crashed 3 times since 10:00:00Z: exited with 3",
        "10:05 worker.1 of v7 crashed: exited with 3",
    ]


def test_a_row_ends_with_another_way_of_crashing_another_release_or_an_hour_of_peace() -> None:
    told = _told(
        _crash("10:00:00"),
        _crash("10:01:00", how="was ended by SIGKILL"),
        _crash("10:02:00", release=8),
        _crash("11:02:01", release=8),
    )
    assert told == [
        "10:00 web.1 of v7 crashed: exited with 3",
        "10:01 web.1 of v7 crashed: was ended by SIGKILL",
        "10:02 web.1 of v8 crashed: exited with 3",
        "11:02 web.1 of v8 crashed: exited with 3",
    ]


def test_a_row_ends_with_what_somebody_did() -> None:
    told = _told(_crash("10:00:00"), _event("10:01:00", EventKind.DEPLOY_RESTARTED), _crash("10:02:00"))
    assert told == [
        "10:00 web.1 of v7 crashed: exited with 3",
        "10:01 restarted web.1",
        "10:02 web.1 of v7 crashed: exited with 3",
    ]


def test_what_the_ledger_tells_of_is_not_told_again() -> None:
    kinds = (EventKind.SWITCHED, EventKind.ROLL_OUT_FAILED, EventKind.STARTED, EventKind.READY, EventKind.FAILED)
    assert _told(*(_event("10:00:00", kind) for kind in kinds)) == []


def test_every_kind_of_event_can_be_told() -> None:
    assert all(tell_events(SHOP, [Event("2026", kind, 7, counts={"web": 1})]) is not None for kind in EventKind)


def test_the_newest_lines_come_first_and_as_many_as_are_wanted() -> None:
    lines = [Line(at, SHOP.app, Topic.STOP, at, deploy=name) for at, name in (("1", "a"), ("3", "b"), ("2", None))]
    assert [line.told for line in merge(lines, Window())] == ["3", "2", "1"]
    assert [line.told for line in merge(lines, Window(limit=1))] == ["3"]
    assert [line.told for line in merge(lines, Window(since="2"))] == ["3", "2"]
    assert [line.told for line in merge(lines, Window(deploy="a"))] == ["2", "1"]
