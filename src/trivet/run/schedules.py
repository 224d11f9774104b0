"""What a deploy has scheduled, as people ask for it: read from its release, the book and the journal. Nothing is changed."""

import time
from collections.abc import Iterator, Mapping
from functools import partial

from trivet.errors import InputError, NothingReleased
from trivet.host import processes
from trivet.host.clock import seconds_of, timestamp
from trivet.model.cron import parse_cron
from trivet.model.event import Event, EventKind
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.schedule import Missed, Scheduled
from trivet.model.scheduled_run import Plight, ScheduledRun
from trivet.model.zone import find_zone
from trivet.run import desired
from trivet.run.events import read_events
from trivet.run.released import current_release, read_release
from trivet.run.schedule_book import read_book
from trivet.run.schedule_rules import find_due
from trivet.run.supervisor.status import Status, read_all

_OUTCOMES = {EventKind.RUN_ENDED: "succeeded", EventKind.RUN_FAILED: "failed", EventKind.RUN_SKIPPED: "skipped"}


def read_schedule(home: Home, deploy: Deploy, why_not: str) -> tuple[Plight, ...]:
    """What the release that is meant to run has scheduled; `why_not` says why nothing of it runs, if nothing does.

    Raises: NothingReleased, UnknownRelease, InvalidDocument, MachineError.
    """
    number = current_release(home, deploy)
    if number is None:
        raise NothingReleased(f"{deploy} has no release.", hint="Deploy first: trivet deploy")
    why_not = "stopped" if desired.is_stopped(home, deploy) else why_not
    lines, going = read_book(home, deploy).lines, {run.name: run for run in _going(home, deploy)}
    last = {name: line.last for name, line in lines.items()} | going
    settled = {name: line.settled_s for name, line in lines.items()}
    schedule = read_release(home, deploy, number).build.schedule
    return tuple(_plight(each, number, (why_not, settled, last.get(each.name))) for each in schedule)


def read_runs(home: Home, deploy: Deploy, name: str | None) -> tuple[ScheduledRun, ...]:
    """The runs that the journal still knows, oldest first; then those that go on. Raises: MachineError."""
    past = (_run_of(event) for event in read_events(home, deploy) if event.kind in _OUTCOMES)
    return tuple(run for run in (*past, *_going(home, deploy)) if name in (None, run.name))


def _plight(scheduled: Scheduled, number: int, known: tuple[str, Mapping[str, float], ScheduledRun | None]) -> Plight:
    why_not, settled, last = known
    now_s = time.time()
    try:
        next_after = partial(parse_cron(scheduled.cron).next_after, zone=find_zone(scheduled.time_zone))
    except InputError as error:
        return Plight(scheduled, number, None, error.message, last)
    next_s = find_due(next_after, settled.get(scheduled.name, now_s), now_s, Missed.SKIP).next_s
    return Plight(scheduled, number, None if why_not or next_s is None else timestamp(next_s), why_not, last)


def _going(home: Home, deploy: Deploy) -> Iterator[ScheduledRun]:
    for status in read_all(home.run(deploy) / "status"):
        if status.planned_s is not None and _is_there(status):
            began, planned = timestamp(status.since), status.planned
            yield ScheduledRun(status.type, status.release, status.process, planned, began, None, "running")


def _is_there(status: Status) -> bool:
    return status.pid is not None and processes.start_time(status.pid) == status.start_time


def _run_of(event: Event) -> ScheduledRun:
    process = event.process or ""
    began = timestamp(seconds_of(event.at) - event.after_s) if event.after_s is not None else None
    return ScheduledRun(
        name=process.partition(".")[0],
        release=event.release,
        process=process if "." in process else None,
        planned=event.planned,
        began=began,
        ended=event.at,
        outcome=_OUTCOMES[event.kind],
        how=event.how,
        duration_s=event.after_s,
        by=str(event.by.actor) if event.by is not None else None,
        output=event.output,
    )
