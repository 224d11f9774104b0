"""Trials: a flow goes wrong at one point, and afterwards everything has to be as it must.

What must hold is asked of the command line and of the map on disk alone, so that it is the same whatever the flows do inside.
"""

import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from support.command import Done
from support.points import Action, Point, Role
from support.world import Served, World

_ALLOCATING = (
    "write",
    "pwrite",
    "create",
    "mkdir",
    "mkfifo",
    "link",
    "symlink",
    "fallocate",
    "copy_file_range",
    "sendfile",
)
_SYNCING = ("fsync", "fdatasync", "syncfs")
_KEPT_LOG = "builds/failed.log"  # what the newest failed build wrote is kept on purpose
_TIDY_WITHIN_S = 60.0
_OLD_NUMBER = 3
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Flow:
    """A command under trial, what production answers after it, and the commands of which one comes next."""

    name: str
    arguments: tuple[str, ...]
    new: Served
    next: tuple[tuple[str, ...], ...]


OLD = Served("two", "b")
SET, BACK, DEPLOY = ("config", "set", "LATER=1"), ("rollback", "v2", "--yes"), ("deploy",)
FLOWS = (
    Flow("deploy", ("deploy",), Served("three", "b"), (SET, DEPLOY, BACK)),
    Flow("config", ("config", "set", "GREETING=c"), Served("two", "c"), (SET, DEPLOY, BACK)),
    Flow("rollback", ("rollback", "v1", "--yes"), Served("one", "a"), (SET, DEPLOY, BACK)),
    Flow("promote", ("promote", "staging", "production"), Served("four", "b"), (SET, DEPLOY, BACK)),
    Flow("prune", ("prune", "--keep", "1"), OLD, (SET, DEPLOY)),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong: to whom, what, at which point."""

    role: Role
    action: Action
    target: int = 0
    signal: int = 0

    def __str__(self) -> str:
        what = signal.Signals(self.signal).name if self.signal else self.action.name.lower()
        return f"{what} at {self.target} of the {self.role.name.lower()}"


@dataclass(slots=True)
class Trial:
    """How one went. `told` is what the flow's command said; `wrong` is empty if everything was as it must be."""

    flow: Flow
    fault: Fault
    following: tuple[str, ...]
    told: Done = field(default_factory=lambda: Done(0, "", ""))
    at: Point | None = None
    next_s: float = 0.0
    wrong: list[str] = field(default_factory=list)

    @property
    def is_reached(self) -> bool:
        return self.at is not None

    def __str__(self) -> str:
        at = f"{self.at.call} {self.at.what}" if self.at else "not reached"
        ended = f"the command ended with {self.told.status}, then came {' '.join(self.following)}"
        lines = [f"{self.flow.name}: {self.fault} ({at}): {ended}"]
        return "\n".join((*lines, *(f"    {line}" for line in self.wrong), f"    said: {self.told.err!r}"))


class Bench:
    """Makes trials in one world, and knows how a home looks after flows that nothing went wrong in."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._points: dict[tuple[str, Role], tuple[Point, ...]] = {}
        self._shapes: frozenset[str] = frozenset()

    def points(self, flow: Flow, role: Role) -> tuple[Point, ...]:
        """Every point of the role in the undisturbed flow."""
        if (flow.name, role) not in self._points:
            self._world.begin()
            self._world.points.arm(role)
            done = self._world.run(flow.arguments)
            assert done.status == 0, done.err
            self._await_tidy([])
            self._world.points.clear()
            self._points[flow.name, role] = self._world.points.passed()
        return self._points[flow.name, role]

    def faults(self, flow: Flow, role: Role, action: Action) -> tuple[Fault, ...]:
        """One for every point at which this can go wrong."""
        calls = {Action.FULL: _ALLOCATING, Action.FAIL_SYNC: _SYNCING}.get(action)
        count = sum(calls is None or point.call in calls for point in self.points(flow, role))
        return tuple(Fault(role, action, target, _signal(action, target)) for target in range(1, count + 1))

    def try_out(self, flow: Flow, fault: Fault) -> Trial:
        """The fault came, and so did another command afterwards."""
        self._learn()
        world = self._world
        trial = Trial(flow, fault, flow.next[sum(divmod(fault.target, 3)) % len(flow.next)])
        world.begin()
        world.points.arm(fault.role, fault.action, fault.target, fault.signal)
        trial.told = world.run(flow.arguments)
        if "did not end within" in trial.told.err:
            trial.wrong.append("it hung")
        trial.at = next((point for point in world.points.passed() if point.number == fault.target), None)
        if fault.action is not Action.CUT:
            self._check_serving(trial)
        world.points.clear()
        if fault.action is not Action.CUT:
            self._check_told(trial)
        if fault.action is Action.SIGNAL and trial.is_reached and trial.told.status != INTERRUPTED:
            trial.wrong.append(f"it ended with {trial.told.status}")
        self._check_next(trial)
        return trial

    def _learn(self) -> None:
        """What kinds of paths there are in a home where nothing ever went wrong."""
        if self._shapes:
            return
        for flow in FLOWS:
            for following in flow.next:
                self._world.begin()
                self._world.plain.ok(*flow.arguments)
                self._world.plain.ok(*following)
                self._await_tidy([])
                self._shapes |= self._world.shapes().keys()

    def _check_serving(self, trial: Trial) -> None:
        """The old or the new release serves, whole, though nobody has mended anything yet."""
        answer = self._world.answer()
        if answer not in ((OLD, _OLD_NUMBER), (trial.flow.new, _OLD_NUMBER + 1)):
            trial.wrong.append(f"production answered {answer}")

    def _check_told(self, trial: Trial) -> None:
        """A command that ended by itself has told what is true: by its result, or by an error and its hint."""
        told, number = trial.told, _OLD_NUMBER + 1
        if told.status < 0:
            return
        lines = told.err.splitlines()[-2:]
        states, answer = self._states(), self._world.answer()
        is_old, is_new = answer == (OLD, _OLD_NUMBER), answer == (trial.flow.new, number)
        is_told = states.get(number) == ("pending" if "could not be written down" in told.err else "succeeded")
        if told.status == 0 and trial.flow.name != "prune" and not (is_told and is_new):
            trial.wrong.append(f"it went well, but {states} and {answer} are true")
        if told.status == 0:
            return
        if len(lines) < 2 or not lines[0].startswith("error: ") or not lines[1].startswith("hint:  "):
            trial.wrong.append(f"it ended with {told.status} and {lines}")
            return
        truths = {
            "othing was changed": number not in states and is_old,
            "othing of it is left": number not in states and is_old,
            "is recorded as failed": states.get(number) == "failed" and is_old,
            "still serves, untouched": is_old,
            "othing that runs was touched": is_old,
            "serves now": is_new,
        }
        said = " ".join(lines)
        lies = [words for words, is_true in truths.items() if words in said and not is_true]
        if lies or (told.status == INTERRUPTED and trial.flow.name != "prune" and not any(map(said.count, truths))):
            trial.wrong.append(f"it said {said!r}, but {states} and {answer} are true")

    def _check_next(self, trial: Trial) -> None:
        """The next command succeeds by itself, the ledger verifies, and nothing half-made is left."""
        began = time.monotonic()
        told = self._run(trial, trial.following)
        trial.next_s = time.monotonic() - began
        if "waiting for" in told.err:
            trial.wrong.append("it waited for somebody")
        states, answer = self._states(), self._world.answer()
        if sorted(states) != list(range(1, len(states) + 1)) or {"pending"} & set(states.values()):
            trial.wrong.append(f"the releases are {states}")
        expected = (_expected(trial, states), max(states))
        if answer != expected:
            trial.wrong.append(f"production answered {answer} instead of {expected}")
        self._run(trial, ("releases", "verify"))
        self._await_tidy(trial.wrong)
        if trial.wrong:
            log = self._world.home / "run" / "supervisor.log"
            trial.wrong += [f"supervisor.log: {line}" for line in log.read_text(errors="replace").splitlines()[-8:]]

    def _run(self, trial: Trial, arguments: tuple[str, ...]) -> Done:
        done = self._world.plain.run(*arguments)
        if done.status != 0:
            trial.wrong.append(f"{' '.join(arguments)} ended with {done.status}: {done.err}")
        for text in (done.err, trial.told.err):
            if "Traceback" in text or "bug in Trivet" in text:
                trial.wrong.append(f"somebody stumbled: {text}")
        return done

    def _states(self) -> dict[int, str]:
        done = self._world.plain.ok("releases", "--json", "--all", "-d", "production")
        return {release["release"]: release["state"] for release in done.json()}

    def _await_tidy(self, wrong: list[str]) -> None:
        """Nothing is left that no undisturbed flow leaves; what old processes leave goes shortly after they do."""
        until = time.monotonic() + _TIDY_WITHIN_S
        while found := tuple(self._untidy()):
            if time.monotonic() > until:
                wrong.extend(found)
                return
            time.sleep(0.02)

    def _untidy(self) -> Iterable[str]:
        home, processes = self._world.home, self._world.processes()
        statuses = self._world.statuses()
        kept = {status["pid"] for status in statuses}
        servers = {pid for pid, line in processes.items() if "/run/__main__.py" in line or "/door/__main__.py" in line}
        if len(statuses) != 3 or len(servers) != 2 or processes.keys() != kept | servers:
            yield f"processes {processes}, of which {kept} are kept"
        folders = {str(path) for path in _files(home, "tmp/*")}
        if folders != {status["temporary"] for status in statuses}:
            yield f"temporary folders {folders}"
        for left in (*_files(home, "apps/*/deploys/*/run/intent.json"), *_files(home, "scratch/*")):
            if left.name != "gate":  # a lock, never removed
                yield f"{left} is left"
        if self._shapes:
            strange = (path for shape, path in self._world.shapes().items() if shape not in self._shapes)
            yield from (path for path in strange if not path.endswith(_KEPT_LOG))


def _signal(action: Action, target: int) -> int:
    """The same at the same point: Ctrl-C, `kill`, a terminal that was closed."""
    return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)[target % 3] if action is Action.SIGNAL else 0


def _expected(trial: Trial, states: dict[int, str]) -> Served:
    """What production has to answer after the next command: of the old and the new what the ledger says, changed by it."""
    is_new = states.get(_OLD_NUMBER + 1) == "succeeded" and len(states) > _OLD_NUMBER + 1
    base = trial.flow.new if is_new else OLD
    if trial.following == BACK:
        return Served("one", "b")
    return Served("three", base.greeting) if trial.following == DEPLOY else base


def _files(home: Path, pattern: str) -> tuple[Path, ...]:
    """Without the hidden ones: whatever is hidden is left over, and told as such."""
    return tuple(path for path in home.glob(pattern) if not path.name.startswith("."))
