"""A change of what runs, carried out: what `change_table` says is to be done, and what came of it told to the table.

Roll-outs, restarts and scaling are changes. Whatever fails before the shift undoes the new and leaves the old untouched.
"""

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from trivet.errors import TrivetError
from trivet.model.event import EventKind
from trivet.model.frozen import frozen
from trivet.model.run import Drain, Failure
from trivet.run.log_files import last_lines
from trivet.run.supervisor import change_table as table
from trivet.run.supervisor.change_table import Kind
from trivet.run.supervisor.departure import Departure
from trivet.run.supervisor.gate import Candidate, Gate, Verdict
from trivet.run.supervisor.intent import Phase
from trivet.run.supervisor.process import Process
from trivet.run.supervisor.vigil import Vigil
from trivet.run.supervisor.yard import Yard

_OUTPUT_LINES = 20
_UNDO_GRACE_S = 5.0
_PROVED_WITHIN_S = 2.0  # what has left its session is killed when its process's folder is cleared away
_PROVE_AGAIN_S = 0.02

Report = Callable[[str, Mapping[str, object]], None]


@frozen
class Parties:
    """The processes of a change. `clears`: those of the drops that must have ended before `follows`, of the starts, start."""

    starts: tuple[Process, ...]
    drops: tuple[Process, ...]
    clears: tuple[Process, ...] = ()
    follows: tuple[Process, ...] = ()
    watch_s: float = 0.0

    @property
    def named(self) -> table.Parties:
        """The same by their names, as the table knows them."""
        return table.Parties(
            _names(self.starts), _names(self.drops), _names(self.clears), _names(self.follows), self.watch_s
        )


@frozen
class Deed:
    """What a change does at its turning points.

    `enter` is called before each phase begins (its reason is said of a change that is taken back), `shift` makes the new
    serve; both may raise TrivetError. `keep` is called when the old is no longer needed, `go_back` makes the old serve
    again, `prove` says whether all that is to be gone is. `end` is called once, last of all. `clear` is told of those that
    end early, and `bring_back` starts them again.
    """

    parties: Parties
    enter: Callable[[Phase, str], None]
    shift: Callable[[], None]
    keep: Callable[[], None]
    go_back: Callable[[], None]
    prove: Callable[[], bool]
    end: Callable[[Failure | None], None]
    report: Report
    clear: Callable[[tuple[Process, ...]], None] = lambda _: None
    bring_back: Callable[[tuple[Process, ...]], None] = lambda _: None


def find_parties(
    starts: tuple[Process, ...], drops: tuple[Process, ...], leaving: Iterable[Process], watch_s: float
) -> Parties:
    """Who is concerned by a change. Of a type that must not run twice what runs ends first, `leaving` ones too."""
    alone = {kind_of(each) for each in (*starts, *drops) if not each.plan.overlaps}
    clears = tuple(each for each in (*drops, *leaving) if kind_of(each) in alone)
    succeeded = {kind_of(each) for each in clears} & {kind_of(each) for each in starts}
    return Parties(
        starts,
        drops,
        tuple(each for each in clears if kind_of(each) in succeeded),
        tuple(each for each in starts if kind_of(each) in succeeded),
        watch_s,
    )


def kind_of(process: Process) -> str:
    """The process type: `worker` of `worker.1`."""
    return process.plan.name.rpartition(".")[0]


@dataclass(slots=True)
class _Watching:
    """Who is watched at the moment: new processes at the gate, or all of them after the shift."""

    gates: dict[Process, Gate] = field(default_factory=dict)
    vigil: Vigil | None = None

    def close(self) -> None:
        """Nobody is."""
        for gate in self.gates.values():
            gate.close()
        self.gates.clear()
        if self.vigil is not None:
            self.vigil.close()
            self.vigil = None


class Change:
    """One change in flight. `timings_s`: from its beginning to each step, in seconds."""

    def __init__(self, yard: Yard, departure: Departure, deed: Deed) -> None:
        self._yard = yard
        self._departure = departure
        self._deed = deed
        parties = deed.parties
        self._processes = {each.name: each for each in (*parties.starts, *parties.drops, *parties.clears)}
        self._began = time.monotonic()
        self._state = table.State(deed.parties.named)
        self._watching = _Watching()
        self._facts: Mapping[str, object] = {}

    def begin(self) -> None:
        """It is under way; the rest follows from what happens to its processes."""
        self._take(table.Event(Kind.BEGUN))

    def abort(self, reason: str) -> None:
        """Undone, if the old can still serve."""
        self._take(table.Event(Kind.ABORTED, failure=Failure(reason)))

    def _take(self, event: table.Event) -> None:
        self._state, actions = table.step(self._state, event)
        for action in actions:
            refusal = self._attempt(action)
            if refusal is None:
                continue
            before = self._state
            self._take(table.Event(Kind.REFUSED, failure=refusal))
            if self._state is not before:
                return  # what was to be done next no longer is
            sys.stderr.write(f"trivet: {refusal.reason}\n")

    def _attempt(self, action: table.Action) -> Failure | None:
        try:
            self._do(action)
        except Exception as error:  # noqa: BLE001  # whatever it is: the table says what becomes of the change
            return Failure(_words(error))
        return None

    def _do(self, action: table.Action) -> None:  # noqa: C901  # one line an action
        deed = self._deed
        match action:
            case table.Enter(phase):
                deed.enter(phase, "")
            case table.Note(phase, reason):
                self._note(phase, reason)
            case table.Start(names):
                self._start(names)
            case table.Stop(names):
                self._stop(names)
            case table.Mark(step):
                deed.report(step, {"after_s": self._elapsed_s(), **self._facts})
                self._facts = {}
            case table.Shift():
                self._shift()
            case table.Watch(seconds):
                self._watch(seconds)
            case table.Keep():
                self._keep()
            case table.Drain(names):
                self._departure.let_go(self._chosen(names), drained=self._on_drained, gone=self._on_gone)
            case table.Prove():
                self._prove(time.monotonic() + _PROVED_WITHIN_S)
            case table.GoBack():
                self._watching.close()
                deed.go_back()
            case table.BringBack(names):
                deed.bring_back(self._chosen(names))
            case table.End(failure):
                self._watching.close()
                deed.end(failure)

    def _note(self, phase: Phase, reason: str) -> None:
        try:
            self._deed.enter(phase, reason)
        except (OSError, TrivetError) as error:  # what the intent said before is true enough
            sys.stderr.write(f"trivet: {_words(error)}\n")

    def _start(self, names: tuple[str, ...]) -> None:
        for process in self._chosen(names):
            process.on_end = self._on_end
            process.start()
            status = process.status
            candidate = Candidate(process.plan, status.pid or 0, status.port, status.temporary, process.knock)
            tell = partial(self._on_verdict, process)
            self._watching.gates[process] = Gate(self._yard.loop, candidate, tell)
            self._deed.report("started", {"process": process.plan.name, "pid": process.status.pid})

    def _stop(self, names: tuple[str, ...]) -> None:
        self._watching.close()
        chosen = self._chosen(names)
        self._deed.clear(tuple(process for process in chosen if process in self._deed.parties.clears))
        for process in chosen:
            is_new = process in self._deed.parties.starts
            process.when_gone(self._on_gone)
            process.stop(min(process.plan.grace_s, _UNDO_GRACE_S) if is_new else None)

    def _shift(self) -> None:
        self._deed.shift()
        for process in self._deed.parties.starts:
            process.serve(self._on_end)
        # On its own: what goes wrong from here on is not the shift's.
        self._yard.loop.soon(partial(self._take, table.Event(Kind.SHIFTED)))

    def _watch(self, seconds: float) -> None:
        self._deed.report("watching", {"for_s": seconds})
        calm = partial(self._take, table.Event(Kind.CALM))
        self._watching.vigil = Vigil(self._yard.loop, self._deed.parties.starts, seconds, self._fail, calm)

    def _keep(self) -> None:
        self._watching.close()
        for process in self._deed.parties.starts:
            process.become_ready()
        self._deed.keep()

    def _prove(self, deadline: float) -> None:
        if self._deed.prove() or time.monotonic() > deadline:
            self._yard.loop.soon(partial(self._take, table.Event(Kind.PROVED)))
        else:
            self._yard.loop.after(_PROVE_AGAIN_S, partial(self._prove, deadline))

    def _on_verdict(self, process: Process, verdict: Verdict) -> None:
        self._watching.gates.pop(process).close()
        if verdict.reason is not None:
            self._fail(process, verdict.reason)
            return
        if verdict.by_socket:
            process.use_socket()
        process.tell(EventKind.READY, after_s=self._elapsed_s())
        self._deed.report("ready", {"process": process.plan.name, "after_s": self._elapsed_s()})
        self._take(table.Event(Kind.READY, process.name))

    def _on_end(self, process: Process, how: str) -> None:
        if (gate := self._watching.gates.pop(process, None)) is not None:
            gate.close()
        self._fail(process, how)

    def _on_drained(self, drain: Drain) -> None:
        self._facts = {"drained": drain.drained, "cut": drain.cut}
        self._take(table.Event(Kind.DRAINED))

    def _on_gone(self, process: Process) -> None:
        self._take(table.Event(Kind.GONE, process.name))

    def _fail(self, process: Process, reason: str) -> None:
        failure = Failure(reason, process.plan.name, last_lines(process.log, _OUTPUT_LINES))
        self._take(table.Event(Kind.FAILED, process.name, failure))

    def _chosen(self, names: tuple[str, ...]) -> tuple[Process, ...]:
        return tuple(self._processes[name] for name in names)

    def _elapsed_s(self) -> float:
        return round(time.monotonic() - self._began, 3)


def _names(processes: tuple[Process, ...]) -> tuple[str, ...]:
    return tuple(process.name for process in processes)


def _words(error: Exception) -> str:
    if isinstance(error, TrivetError):
        return error.message.rstrip(".")
    if isinstance(error, OSError):
        return f"the machine refused: {error.strerror}"
    sys.excepthook(type(error), error, error.__traceback__)
    return f"the supervisor stumbled ({type(error).__name__}); run/supervisor.log says more"
