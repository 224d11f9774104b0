"""A change of what runs: start the new beside the old, wait until all of it is ready, shift, drain, end the old.

Roll-outs, restarts and scaling are changes. Whatever fails before the shift undoes the new and leaves the old untouched.
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from trivet.errors import TrivetError
from trivet.model.event import EventKind
from trivet.model.run import Drain
from trivet.run.log_files import last_lines
from trivet.run.supervisor.departure import Departure
from trivet.run.supervisor.gate import Candidate, Gate, Verdict
from trivet.run.supervisor.intent import Phase
from trivet.run.supervisor.loop import Action
from trivet.run.supervisor.process import Process
from trivet.run.supervisor.yard import Yard

_OUTPUT_LINES = 20
_UNDO_GRACE_S = 5.0

Report = Callable[[str, Mapping[str, object]], None]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a change was undone. `process` is the one that failed, if it was one; `output` its last lines."""

    reason: str
    process: str | None = None
    output: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deed:
    """What a change does at its turning points.

    `enter` is called before each phase begins, `shift` makes the new serve; both may raise TrivetError. `end` is
    called once: with the failure when all of the new is gone, with None when the old has drained.
    """

    starts: tuple[Process, ...]
    drops: tuple[Process, ...]
    enter: Callable[[Phase], None]
    shift: Callable[[], None]
    end: Callable[[Failure | None], None]
    report: Report


class Change:
    """One change in flight. `timings_s`: from its beginning to ready, shifted and drained, in seconds."""

    def __init__(self, yard: Yard, departure: Departure, deed: Deed) -> None:
        self._yard = yard
        self._departure = departure
        self._deed = deed
        self._began = time.monotonic()
        self._gates: dict[Process, Gate] = {}
        self._started: list[Process] = []
        self._failure: Failure | None = None
        self.phase = Phase.STARTING
        self.timings_s: dict[str, float] = {}

    def begin(self) -> None:
        """All new processes are started; the rest follows from what happens to them."""
        self._attempt(self._start_all)

    def abort(self, reason: str) -> None:
        """Undone, if the shift has not begun."""
        if self.phase is Phase.STARTING and self._failure is None:
            self._fail(Failure(reason))

    def _attempt(self, step: Action) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001  # whatever it is: the new is undone, the old runs on
            self._fail(Failure(_words(error)))

    def _start_all(self) -> None:
        self._deed.enter(Phase.STARTING)
        for process in self._deed.starts:
            self._start(process)
        self._shift_when_ready()

    def _start(self, process: Process) -> None:
        process.on_end = self._on_end
        process.start()
        self._started.append(process)
        candidate = Candidate(process.plan, process.status.pid or 0, process.status.port)
        tell = partial(self._on_verdict, process)
        self._gates[process] = Gate(self._yard.loop, candidate, lambda verdict: self._attempt(partial(tell, verdict)))
        self._deed.report("started", {"process": process.plan.name, "pid": process.status.pid})

    def _on_verdict(self, process: Process, verdict: Verdict) -> None:
        self._gates.pop(process).close()
        if verdict.reason is not None:
            self._fail(self._failure_of(process, verdict.reason))
            return
        process.tell(EventKind.READY, after_s=self._elapsed_s())
        self._deed.report("ready", {"process": process.plan.name, "after_s": self._elapsed_s()})
        self._shift_when_ready()

    def _on_end(self, process: Process, how: str) -> None:
        if (gate := self._gates.pop(process, None)) is not None:
            gate.close()
        self._fail(self._failure_of(process, how))

    def _shift_when_ready(self) -> None:
        if self._gates or self._failure is not None or self.phase is not Phase.STARTING:
            return
        self.timings_s["ready"] = self._elapsed_s()
        self._deed.enter(Phase.SHIFTING)
        self.phase = Phase.SHIFTING
        self._deed.shift()
        for process in self._started:
            process.become_ready()
        self._yard.loop.soon(self._drain)  # on its own: what goes wrong from here on undoes nothing

    def _drain(self) -> None:
        self.phase = Phase.SHIFTED
        try:
            self._deed.enter(Phase.SHIFTED)
        except (OSError, TrivetError) as error:  # it has shifted: the intent on disk says so well enough
            sys.stderr.write(f"trivet: {_words(error)}\n")
        self.timings_s["shifted"] = self._elapsed_s()
        self._deed.report("shifted", {"after_s": self.timings_s["shifted"]})
        self._departure.let_go(self._deed.drops, drained=self._on_drained)

    def _on_drained(self, drain: Drain) -> None:
        self.timings_s["drained"] = self._elapsed_s()
        facts = {"after_s": self.timings_s["drained"], "drained": drain.drained, "cut": drain.cut}
        self._deed.report("drained", facts)
        self._deed.end(None)

    def _failure_of(self, process: Process, reason: str) -> Failure:
        return Failure(reason, process.plan.name, last_lines(process.log, _OUTPUT_LINES))

    def _fail(self, failure: Failure) -> None:
        if self._failure is not None:
            return
        self._failure = failure
        for gate in self._gates.values():
            gate.close()
        self._gates.clear()
        waiting = set(self._deed.starts)
        for process in self._deed.starts:
            grace_s = min(process.plan.grace_s, _UNDO_GRACE_S)
            process.stop(partial(self._on_gone, waiting), grace_s)
        if not waiting:
            self._yard.loop.soon(partial(self._deed.end, failure))

    def _on_gone(self, waiting: set[Process], process: Process) -> None:
        waiting.discard(process)
        failure = self._failure
        if not waiting and failure is not None:
            self._deed.end(failure)

    def _elapsed_s(self) -> float:
        return round(time.monotonic() - self._began, 3)


def _words(error: Exception) -> str:
    if isinstance(error, TrivetError):
        return error.message.rstrip(".")
    if isinstance(error, OSError):
        return f"the machine refused: {error.strerror}"
    sys.excepthook(type(error), error, error.__traceback__)
    return f"the supervisor stumbled ({type(error).__name__}); run/supervisor.log says more"
