"""The timetable of one deploy: runs what the release that is meant to run has scheduled, when its time has come.

Loaded when a release schedules something first.
"""

import contextlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from trivet.errors import Busy, InvalidDocument, RunError, TrivetError, UnknownProcess
from trivet.host.clock import now, timestamp
from trivet.model.config import Config
from trivet.model.cron import parse_cron
from trivet.model.event import Event, EventKind
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.release import Act, Release
from trivet.model.run import ProcessState
from trivet.model.run_plan import ProcessPlan
from trivet.model.schedule import Overlap, Scheduled, find_scheduled
from trivet.model.scheduled_run import ScheduledRun
from trivet.model.zone import find_zone
from trivet.run.plan import plan_run
from trivet.run.released import check_runnable, read_environment, read_release
from trivet.run.schedule_book import Book, Line, read_book, write_book
from trivet.run.schedule_rules import Due, NextAfter, find_due
from trivet.run.supervisor import scheduled_run
from trivet.run.supervisor.belonging import Belonging
from trivet.run.supervisor.process import Process
from trivet.run.supervisor.scheduled_run import Run
from trivet.run.supervisor.status import Status
from trivet.run.supervisor.wall_clock import WallClock
from trivet.run.supervisor.yard import Yard

_MOST_AT_ONCE = 10

OnRun = Callable[[ScheduledRun], None]


@frozen
class _Entry:
    scheduled: Scheduled
    next_after: NextAfter


class Timetable:
    """`runs` are those that go on, also of releases that ran before: nobody ends them but their time, or `close`."""

    def __init__(self, yard: Yard, deploy: Deploy, clock: WallClock) -> None:
        """Raises: MachineError."""
        self.runs: dict[Process, Run] = {}
        self._yard = yard
        self._deploy = deploy
        self._clock = clock
        self._release: Release | None = None
        self._entries: Mapping[str, _Entry] = {}
        self._lines: dict[str, Line] = dict(_read(yard, deploy).lines)
        self._listeners: dict[Process, OnRun] = {}

    def follow(self, release: Release | None) -> None:
        """What this release schedules is run from now on, and nothing else (None: nothing, and no time counts as missed)."""
        self._release, self._entries = release, {}
        if release is None:
            self._write({name: replace(line, rule="", waits_for=None) for name, line in self._lines.items()})
            self._clock.wake_at(None, self._look)
            return
        for scheduled in release.build.schedule:
            self._add(scheduled)
        self._write({name: self._begun(entry.scheduled) for name, entry in self._entries.items()})
        for name in self._entries:
            self._go_on(name)
        self._look()

    def adopt(self, status: Status, pidfd: int, *, to_end: bool) -> None:
        """A run that was found goes on, and is ended when its time is over; or it ends now."""
        deploy, home = self._deploy, self._yard.home
        scheduled = Scheduled(status.type, "", "")
        plan = ProcessPlan(status.process, ("/nonexistent",), Path("/"), {}, ends_as_group=True)
        with contextlib.suppress(TrivetError):  # enough is known to end it
            release = read_release(home, deploy, status.release)
            scheduled = find_scheduled(release.build.schedule, scheduled.name) or scheduled
            plan = replace(plan_run(home, release, Config(), (scheduled, 1, "")), name=status.process)
        process = Process(self._yard, Belonging(deploy, status.release, status.turn), plan, status)
        self.runs[process] = run = Run(self._yard, process, scheduled.timeout_s, self._on_ended)
        run.adopt(pidfd)
        if to_end or status.state is ProcessState.STOPPING:
            run.stop()

    def lose(self, status: Status) -> None:
        """A run has ended that nobody saw end."""
        told = scheduled_run.tell_lost(self._yard, self._deploy, status)
        self._note_last(told)

    def run_now(self, name: str, by: Act | None, listener: OnRun) -> ScheduledRun:
        """It runs, whatever the time; the listener is told once how it ended. Raises: UnknownProcess, Busy, RunError."""
        release = self._release
        entry = self._entries.get(name)
        if release is None or entry is None:
            names = ", ".join(self._entries) or "nothing"
            raise UnknownProcess(f"{self._deploy} schedules no {name!r}.", hint=f"It schedules: {names}.")
        if self._going(name) and entry.scheduled.overlap is not Overlap.ALLOW:
            raise Busy(f"{name} runs already ({self._going(name)[0]}).", hint="Wait for it to end: trivet ps")
        run = self._make(entry.scheduled, 0.0)
        self._listeners[run.process] = listener
        run.start(by)
        return run.told

    def rest(self) -> None:
        """Nothing is started any more; what runs is left alone."""
        self._entries, self._release = {}, None
        self._clock.wake_at(None, self._look)

    def close(self) -> None:
        """Nobody asks for the time any more."""
        self._clock.close()

    def _add(self, scheduled: Scheduled) -> None:
        next_after: NextAfter = _never
        try:
            next_after = partial(parse_cron(scheduled.cron).next_after, zone=find_zone(scheduled.time_zone))
        except TrivetError as error:
            sys.stderr.write(f"trivet: {self._deploy}: {scheduled.name} is not run at its times: {error.message}\n")
        self._entries = {**self._entries, scheduled.name: _Entry(scheduled, next_after)}

    def _begun(self, scheduled: Scheduled) -> Line:
        """What comes from now on counts, if it was not there before, or had other times."""
        line = self._lines.get(scheduled.name)
        if line is not None and line.rule == scheduled.rule:
            return line
        return Line(scheduled.rule, self._clock.now_s(), last=line.last if line is not None else None)

    def _look(self) -> None:
        """Whatever is due has been dealt with, and the clock wakes us for the next."""
        now_s, comes = self._clock.now_s(), []
        for name, entry in self._entries.items():
            due = find_due(entry.next_after, self._lines[name].settled_s, now_s, entry.scheduled.missed)
            self._deal_with(entry.scheduled, due, now_s)
            comes.append(due.next_s)
        self._clock.wake_at(min((each for each in comes if each is not None), default=None), self._look)

    def _deal_with(self, scheduled: Scheduled, due: Due, now_s: float) -> None:
        if due.missed is not None:
            self._skip(scheduled, due.missed, "missed: nothing could run it then")
        if due.run_for is None and due.missed is None:
            return
        line = self._lines[scheduled.name]
        try:
            self._write({**self._lines, scheduled.name: replace(line, settled_s=now_s)}, strict=True)
        except TrivetError as error:  # else it might run twice
            self._lines[scheduled.name] = replace(line, settled_s=now_s)
            self._skip(scheduled, due.run_for or now_s, f"it cannot be written down: {error.message}")
            return
        if due.run_for is not None:
            self._begin(scheduled, due.run_for)

    def _begin(self, scheduled: Scheduled, planned_s: float) -> None:
        going, line = self._going(scheduled.name), self._lines[scheduled.name]
        if going and scheduled.overlap is Overlap.SKIP:
            self._skip(scheduled, planned_s, f"the run before, {going[0]}, goes on")
        elif going and scheduled.overlap is Overlap.QUEUE and line.waits_for is not None:
            self._skip(scheduled, planned_s, "one that waits for the run before is enough")
        elif going and scheduled.overlap is Overlap.QUEUE:
            self._write({**self._lines, scheduled.name: replace(line, waits_for=planned_s)})
        elif len(going) >= _MOST_AT_ONCE:
            self._skip(scheduled, planned_s, f"{len(going)} of its runs go on")
        else:
            self._start(scheduled, planned_s)

    def _start(self, scheduled: Scheduled, planned_s: float) -> None:
        try:
            self._make(scheduled, planned_s).start()
        except (OSError, TrivetError) as error:
            said = error.message if isinstance(error, TrivetError) else str(error)
            event = Event(
                now(), EventKind.RUN_FAILED, self._number, scheduled.name, how=f"could not be started: {said}"
            )
            self._tell(replace(event, planned=timestamp(planned_s)))

    def _make(self, scheduled: Scheduled, planned_s: float) -> Run:
        """A run that is to be started. Raises: RunError, InvalidDocument, MachineError."""
        release = self._release
        if release is None:
            raise RunError(f"{self._deploy} runs no release.", hint="Start it: trivet start")
        home, deploy = self._yard.home, self._deploy
        check_runnable(home, release)
        config = read_environment(home, deploy, release.number)
        going = self._going(scheduled.name)
        slot = next(each for each in range(1, len(going) + 2) if f"{scheduled.name}.{each}" not in going)
        planned = timestamp(planned_s) if planned_s else ""
        plan = plan_run(home, release, config, (scheduled, slot, planned))
        process = scheduled_run.begin(self._yard, Belonging(deploy, release.number), plan, planned_s)
        run = Run(self._yard, process, scheduled.timeout_s, self._on_ended)
        self.runs[process] = run
        return run

    def _going(self, name: str) -> tuple[str, ...]:
        return tuple(run.process.plan.name for run in self.runs.values() if run.told.name == name)

    def _on_ended(self, run: Run) -> None:
        self.runs.pop(run.process, None)
        self._note_last(run.told)
        if (listener := self._listeners.pop(run.process, None)) is not None:
            listener(run.told)
        self._yard.loop.soon(partial(self._go_on, run.told.name))

    def _go_on(self, name: str) -> None:
        """What waits for the run before, which has ended, starts."""
        entry, line = self._entries.get(name), self._lines.get(name)
        if entry is None or line is None or line.waits_for is None or self._going(name):
            return
        self._write({**self._lines, name: replace(line, waits_for=None)})
        self._start(entry.scheduled, line.waits_for)

    def _skip(self, scheduled: Scheduled, planned_s: float, how: str) -> None:
        event = Event(now(), EventKind.RUN_SKIPPED, self._number, scheduled.name, how=how)
        self._tell(replace(event, planned=timestamp(planned_s)))

    def _tell(self, event: Event) -> None:
        self._yard.journal.tell(self._deploy, event)

    @property
    def _number(self) -> int | None:
        return self._release.number if self._release is not None else None

    def _note_last(self, told: ScheduledRun) -> None:
        if (line := self._lines.get(told.name)) is not None:
            self._write({**self._lines, told.name: replace(line, last=told)})

    def _write(self, lines: dict[str, Line], *, strict: bool = False) -> None:
        """The book has these lines. Raises, if `strict`: MachineError."""
        if lines == self._lines:
            return
        try:
            write_book(self._yard.home, self._deploy, Book(lines))
        except TrivetError as error:
            if strict:
                raise
            sys.stderr.write(f"trivet: {self._deploy}: {error.message}\n")
        self._lines = lines


def _read(yard: Yard, deploy: Deploy) -> Book:
    try:
        return read_book(yard.home, deploy)
    except InvalidDocument as error:
        sys.stderr.write(f"trivet: {deploy}: run/schedule.json counts as absent: {error.message}\n")
        return Book()


def _never(_: float) -> float | None:
    return None
