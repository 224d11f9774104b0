"""What the run stage has to tell: crashes, and what people did that makes no release. Of roll-outs the ledger tells."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from trivet.model.event import Event, EventKind
from trivet.model.names import Deploy
from trivet.model.story import Line, Topic

_TOPICS = {
    EventKind.SCALED: Topic.SCALE,
    EventKind.SCALE_FAILED: Topic.SCALE_FAILED,
    EventKind.DEPLOY_RESTARTED: Topic.RESTART,
    EventKind.RESTART_FAILED: Topic.RESTART_FAILED,
    EventKind.DEPLOY_STOPPED: Topic.STOP,
    EventKind.DEPLOY_STARTED: Topic.START,
    EventKind.SUPERVISOR_UP: Topic.UP,
    EventKind.SUPERVISOR_DOWN: Topic.DOWN,
    EventKind.LOST: Topic.LOST,
    EventKind.CRASHED: Topic.CRASH,
}
_IN_A_ROW = timedelta(hours=1)  # between two crashes that are told as one


def tell_events(deploy: Deploy, events: Iterable[Event]) -> tuple[Line, ...]:
    """The lines of one deploy, from its journal, oldest first. Crashes of the same kind in a row are one line."""
    lines: list[Line] = []
    crashes: dict[str | None, int] = {}  # where the last crash of each process is told, if it may still be gone on with
    for line in _lines(deploy, events):
        at = crashes.get(line.process) if line.topic is Topic.CRASH else None
        if line.topic is not Topic.CRASH:
            crashes.clear()
            lines.append(line)
        elif at is not None and _goes_on(lines[at], line):
            lines[at] = _together(lines[at], line)
        else:
            crashes[line.process] = len(lines)
            lines.append(line)
    return tuple(lines)


def _lines(deploy: Deploy, events: Iterable[Event]) -> Iterator[Line]:
    for event in events:
        topic = _TOPICS.get(event.kind)
        if topic is not None:
            yield Line(
                event.at,
                deploy.app,
                topic,
                _told(event) + (f": {event.by.reason}" if event.by and event.by.reason else ""),
                deploy=deploy.name,
                act=event.by,
                release=event.release,
                failure=event.how if topic in (Topic.CRASH, Topic.SCALE_FAILED, Topic.RESTART_FAILED) else None,
                process=event.process,
                counts=event.counts,
                before=event.before,
                output=event.output,
            )


def _told(event: Event) -> str:
    what = event.process or "all processes"
    by_kind = {
        EventKind.SCALED: f"scaled {_counts(event)}",
        EventKind.SCALE_FAILED: f"scaling {_counts(event)} failed: {event.how}",
        EventKind.DEPLOY_RESTARTED: f"restarted {what}",
        EventKind.RESTART_FAILED: f"restarting {what} failed: {event.how}",
        EventKind.DEPLOY_STOPPED: "stopped",
        EventKind.DEPLOY_STARTED: "started",
        EventKind.SUPERVISOR_UP: f"the supervisor came up: {event.how}",
        EventKind.SUPERVISOR_DOWN: "the supervisor was ended, with all that it ran",
        EventKind.LOST: event.how,
        EventKind.CRASHED: f"{event.process} of v{event.release} crashed: {event.how}",
    }
    return by_kind[event.kind]


def _counts(event: Event) -> str:
    before: Mapping[str, int] = event.before or {}
    return ", ".join(f"{name} {before.get(name, 0)} → {count}" for name, count in sorted((event.counts or {}).items()))


def _goes_on(first: Line, next_one: Line) -> bool:
    is_same = (first.release, first.failure) == (next_one.release, next_one.failure)
    return is_same and _time(next_one.at) - _time(first.at) <= _IN_A_ROW


def _together(first: Line, last: Line) -> Line:
    since, times = first.since or first.at, first.times + 1
    told = f"{last.process} of v{last.release} crashed {times} times since {since[11:19]}Z: {last.failure}"
    return replace(last, told=told, times=times, since=since)


def _time(at: str) -> datetime:
    return datetime.fromisoformat(at)
