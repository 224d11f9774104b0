"""One run of something scheduled: a process that ends by itself, or when its time is over, and is not started again."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace

from trivet.errors import MachineError
from trivet.host.clock import now, timestamp
from trivet.host.processes import Exit
from trivet.model.event import Event, EventKind
from trivet.model.names import Deploy
from trivet.model.release import Act
from trivet.model.run_plan import ProcessPlan
from trivet.model.scheduled_run import ScheduledRun
from trivet.run.log_files import append_to_log
from trivet.run.supervisor.belonging import Belonging
from trivet.run.supervisor.loop import Alarm
from trivet.run.supervisor.process import Process
from trivet.run.supervisor.status import Status
from trivet.run.supervisor.yard import Yard

_OUTCOMES = {EventKind.RUN_STARTED: "running", EventKind.RUN_ENDED: "succeeded", EventKind.RUN_FAILED: "failed"}

Ended = Callable[["Run"], None]


class Run:
    """`told` says how it is, and at last how it ended; `ended` is called once, when nothing of it is left."""

    def __init__(self, yard: Yard, process: Process, timeout_s: float, ended: Ended) -> None:
        self._yard = yard
        self._timeout_s = timeout_s
        self._ended = ended
        self._alarm: Alarm | None = None
        self._is_late = False
        self._by: Act | None = None
        self.process = process
        self.told = ScheduledRun(
            name=process.status.type,
            release=process.belonging.release,
            process=process.plan.name,
            planned=process.status.planned,
            began=timestamp(process.status.since),
            ended=None,
            outcome="running",
        )
        process.on_event = self._on_event
        process.when_gone(self._on_gone)

    def start(self, by: Act | None = None) -> None:
        """It runs, or has failed at once, and `ended` follows."""
        self._by = by
        self.told = replace(self.told, by=None if by is None else str(by.actor))
        process = self.process
        self._note(f"{process.plan.name} starts, {_why(self.told)}")
        try:
            process.start()
        except (OSError, ValueError, MachineError) as error:
            self._yard.logs.reserve.give_up_if_full()
            self._on_event(EventKind.FAILED, f"could not be started ({error})", 0.0, None)
            process.stop()
            return
        self._go_on()

    def adopt(self, pidfd: int) -> None:
        """It was found running."""
        self.process.adopt(pidfd)
        self._go_on()

    def stop(self) -> None:
        """It has been told to end."""
        self.process.stop()

    def _go_on(self) -> None:
        self.process.serve(self._on_end)
        left_s = self._timeout_s - max(0.0, time.time() - self.process.status.since)
        self._alarm = self._yard.loop.after(max(0.0, left_s), self._on_timeout)

    def _on_timeout(self) -> None:
        self._is_late = True
        self.process.stop()

    def _on_end(self, process: Process, _: str) -> None:
        process.stop()  # it has ended; what it held is given back

    def _on_gone(self, _: Process) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._ended(self)

    def _on_event(self, kind: EventKind, how: str, after_s: float | None, ended: Exit | None) -> None:
        """What happens to the process is told as what happens to the run."""
        status = self.process.status
        if kind is EventKind.ADOPTED:
            event = Event(now(), kind, self.told.release, self.told.process, status.pid)
        elif kind is EventKind.STARTED:
            self.told = replace(self.told, began=timestamp(status.since))
            event = self._event(EventKind.RUN_STARTED)
        else:
            event = self._end(how, after_s, ended)
        self._yard.journal.tell(self.process.belonging.deploy, event)

    def _end(self, how: str, after_s: float | None, ended: Exit | None) -> Event:
        was_told = self.process.is_stopping
        is_good = ended is not None and ended.status == 0 and not was_told
        kind = EventKind.RUN_ENDED if is_good else EventKind.RUN_FAILED
        why = f"took longer than {self._timeout_s:g} s" if self._is_late else "was told to end"
        how = f"{why}: {how}" if was_told else how
        output = () if is_good else self.process.last_words()
        spent_s = None if after_s is None else round(after_s, 3)
        self.told = replace(self.told, ended=now(), outcome=_OUTCOMES[kind], how=how, duration_s=spent_s, output=output)
        self._note(f"{self.process.plan.name} {how}" + (f" after {spent_s:.1f} s" if spent_s is not None else ""))
        event = self._event(kind)
        return event if ended is None else replace(event, status=ended.status, signal=ended.signal_name)

    def _event(self, kind: EventKind) -> Event:
        told, pid = self.told, self.process.status.pid
        event = Event(now(), kind, told.release, told.process, pid, told.how, told.duration_s, by=self._by)
        return replace(event, planned=told.planned, output=told.output)

    def _note(self, line: str) -> None:
        with contextlib.suppress(OSError):  # a full disk keeps nothing from running
            append_to_log(self.process.log, f"trivet: {line}\n".encode())


def begin(yard: Yard, belonging: Belonging, plan: ProcessPlan, planned_s: float) -> Process:
    """The process of a run that is to be started; `planned_s` is 0 for one that somebody has asked for."""
    process = Process(yard, belonging, plan)
    process.status = replace(process.status, planned_s=planned_s)
    return process


def tell_lost(yard: Yard, deploy: Deploy, status: Status) -> ScheduledRun:
    """The journal says that a run ended while no supervisor was there; how, nobody knows."""
    how = "ended while no supervisor ran; how is not known"
    event = Event(now(), EventKind.RUN_FAILED, status.release, status.process, status.pid, how)
    yard.journal.tell(deploy, replace(event, planned=status.planned))
    began, planned = timestamp(status.since), status.planned
    return ScheduledRun(status.type, status.release, status.process, planned, began, now(), "failed", how)


def _why(told: ScheduledRun) -> str:
    return f"planned for {told.planned}" if told.planned is not None else f"asked for by {told.by or 'somebody'}"
