"""Gathers what can be measured, a slice at a time: between two slices whatever has happened is seen to first."""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

import trivet
from trivet.errors import SupervisorUnreachable, TrivetError
from trivet.host.processes import list_pids
from trivet.host.usage import Count, usage_of_process
from trivet.model.event import EventKind
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.load import Usage
from trivet.model.run import ProcessState
from trivet.run.door import link
from trivet.run.door.counts import STATUS, DeployCounts, DoorCounts, parse_counts
from trivet.run.supervisor.exposition import Exposition, write_labels
from trivet.run.supervisor.journal import Journal
from trivet.run.supervisor.keeper import Keeper
from trivet.run.supervisor.loop import Action, Alarm, Loop
from trivet.run.supervisor.process import Process

_SLICE = 32  # processes: well under a millisecond
_DOOR_WITHIN_S = 1.0
_CONNECTS_WITHIN_S = 0.01

T = TypeVar("T")
Labelled = tuple[Process, str]
Done = Callable[[bytes | None], None]


@frozen
class Subject:
    """What is measured: a home with its deploys, and their journal. `since`: when the supervisor started."""

    home: Home
    journal: Journal
    keepers: tuple[Keeper, ...]
    since: float


class Gathering:
    """One gathering; `done` is handed the text, or None if it went wrong. No value of the config is in it, nor any command."""

    def __init__(self, loop: Loop, subject: Subject, done: Done) -> None:
        self._loop = loop
        self._subject = subject
        self._done = done
        self._exposition = Exposition()
        self._steps = self._gather()
        self._is_gathered = False
        self._door = DoorQuestion(subject.home, loop, self._conclude)
        loop.after(0.0, self._step)

    def _step(self) -> None:
        try:
            next(self._steps)
        except StopIteration:
            self._is_gathered = True
            self._conclude()
        except Exception:
            self._door.close()
            self._done(None)
            raise
        else:
            self._loop.after(0.0, self._step)

    def _conclude(self) -> None:
        if not self._is_gathered or not self._door.is_over:
            return
        try:
            self._add_door(self._door.counts)
            text = self._exposition.text()
        except Exception:
            self._done(None)
            raise
        self._done(text)

    def _gather(self) -> Iterator[None]:
        self._add_supervisor()
        found: list[Labelled] = []
        for keeper in self._subject.keepers:
            self._add_deploy(keeper)
            yield
            for chunk in _chunks(self._processes(keeper)):
                for process, labels in chunk:
                    self._add_process(process, labels)
                found += chunk
                yield
        running = {process.status.pid: process.group for process, _ in found if process.status.pid is not None}
        groups = {pid: group for pid, group in running.items() if group is not None}
        count = Count(running, groups, files=True)
        for pid in groups:
            count.add_group_of(pid)
            yield
        for pids in _chunks(list_pids() if count.is_by_session else ()):
            count.add(pids)
            yield
        for chunk in _chunks(found):
            for process, labels in chunk:
                self._add_usage("process", count.usage.get(process.status.pid or 0), labels)
            yield

    def _add_supervisor(self) -> None:
        add = self._exposition.add
        add("trivet_build_info", 1, write_labels(version=trivet.__version__))
        add("trivet_supervisor_start_time_seconds", self._subject.since)
        self._add_usage("supervisor", usage_of_process(os.getpid()), "")

    def _add_deploy(self, keeper: Keeper) -> None:
        add, names = self._exposition.add, {"app": keeper.deploy.app, "deploy": keeper.deploy.name}
        labels = write_labels(**names)
        with contextlib.suppress(TrivetError):  # what cannot be read is a trouble, and that is told
            if (number := keeper.current) is not None:
                add("trivet_deploy_release", number, labels)
        add("trivet_deploy_stopped", int(keeper.is_stopped), labels)
        add("trivet_deploy_trouble", int(keeper.trouble is not None), labels)
        counts = self._subject.journal.counts(keeper.deploy)
        for outcome, kind in (("succeeded", EventKind.SWITCHED), ("failed", EventKind.ROLL_OUT_FAILED)):
            add("trivet_roll_outs_total", counts.get(kind, 0), write_labels(**names, outcome=outcome))
        for kind, count in counts.items():
            add("trivet_events_total", count, write_labels(**names, kind=kind.value))
        if (at := _last_roll_out_s(keeper)) is not None:
            add("trivet_roll_out_last_timestamp_seconds", at, labels)

    def _processes(self, keeper: Keeper) -> list[Labelled]:
        """Each name once: while one takes the place of another of its release, the one that serves."""
        chosen: dict[str, Process] = {}
        for process in keeper.all():
            labels = _labels(keeper, process.belonging.release, process.plan.name)
            chosen.setdefault(labels, process)
        return [(process, labels) for labels, process in chosen.items()]

    def _add_process(self, process: Process, labels: str) -> None:
        add, status = self._exposition.add, process.status
        add("trivet_process_up", int(status.state is ProcessState.RUNNING and status.pid is not None), labels)
        add("trivet_process_restarts_total", status.restarts, labels)
        if status.pid is not None:
            add("trivet_process_start_time_seconds", status.since, labels)

    def _add_usage(self, what: str, usage: Usage | None, labels: str) -> None:
        if usage is None:
            return
        add = partial(self._exposition.add, labels=labels)
        add(f"trivet_{what}_cpu_seconds_total", round(usage.cpu_s, 2))
        add(f"trivet_{what}_resident_memory_bytes", usage.memory_bytes)
        if usage.open_files is not None:
            add(f"trivet_{what}_open_fds", usage.open_files)
        if what == "process":
            add("trivet_process_members", usage.processes)

    def _add_door(self, counts: DoorCounts | None) -> None:
        self._exposition.add("trivet_door_up", int(counts is not None))
        if counts is None:
            return
        self._add_usage("door", usage_of_process(counts.pid), "")
        for keeper in self._subject.keepers:
            if (told := counts.deploys.get(str(keeper.deploy))) is not None:
                self._add_door_of(keeper, told)

    def _add_door_of(self, keeper: Keeper, told: DeployCounts) -> None:
        add, labels = self._exposition.add, write_labels(app=keeper.deploy.app, deploy=keeper.deploy.name)
        add("trivet_door_connections", told.connections, labels)
        add("trivet_door_requests_total", told.requests, labels)
        add("trivet_door_refused_total", told.refused, labels)
        add("trivet_door_held", told.held, labels)
        requests: dict[str, int] = {}
        in_flight: dict[str, int] = {}
        for backend in told.backends:  # those that are routed to come first: a count that falls is taken as begun anew
            labels = _labels(keeper, backend.release, backend.process)
            requests.setdefault(labels, backend.requests)
            in_flight[labels] = in_flight.get(labels, 0) + backend.in_flight
        for labels, count in requests.items():
            add("trivet_door_backend_requests_total", count, labels)
            add("trivet_door_backend_in_flight", in_flight[labels], labels)


class DoorQuestion:
    """Asks the front door what it has counted, and never waits for it: one that hangs must hold up nobody's processes."""

    def __init__(self, home: Home, loop: Loop, over: Action) -> None:
        self._loop = loop
        self._over = over
        self._link: link.DoorLink | None = None
        self._patience: Alarm | None = None
        self.counts: DoorCounts | None = None
        try:
            self._link = link.connect(home, _CONNECTS_WITHIN_S)
            self._link.send(STATUS, _CONNECTS_WITHIN_S)
        except SupervisorUnreachable:
            self.close()
        else:
            self._patience = self._loop.after(_DOOR_WITHIN_S, self._end)
            self._loop.watch(self._link.fileno(), self._take)

    @property
    def is_over(self) -> bool:
        """Whether it has answered, or will not."""
        return self._link is None

    def close(self) -> None:
        """It is not asked any more, and holds nobody: a circle would stay in memory until Python looks for circles."""
        self._over = _nothing
        if self._patience is not None:
            self._patience.cancel()
        if self._link is not None:
            self._loop.forget(self._link.fileno())
            self._link.close()
            self._link = None

    def _take(self) -> None:
        if self._link is None:
            return
        answer = self._link.take_answer()
        if answer is not None and answer.ok:
            self.counts = parse_counts(answer.data)
        if answer is not None or self._link.ended:
            self._end()

    def _end(self) -> None:
        over = self._over
        self.close()
        over()


def _nothing() -> None:
    return


def _labels(keeper: Keeper, release: int, process: str) -> str:
    return write_labels(app=keeper.deploy.app, deploy=keeper.deploy.name, release=f"v{release}", process=process)


def _last_roll_out_s(keeper: Keeper) -> float | None:
    """When the folder that roll-outs are written down in was changed last."""
    folder = keeper.home.run(keeper.deploy) / "rollouts"
    try:
        with os.scandir(folder) as entries:
            return folder.stat().st_mtime if next(entries, None) is not None else None
    except OSError:
        return None


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, _SLICE)):
        yield chunk
