"""Trials of the run stage: its supervisor is killed, or the machine loses power, at one point of a change of what runs.

What must hold is asked of the client that asks all the while, the command line, the map on disk and the machine's processes.
"""

import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from support.command import Done, Trivet, eventually
from support.lost_writes import lose, read_journal
from support.points import Action, Role
from support.switched import FORMATION, Client, Served, Switched, asking

SET, DEPLOY, UP, RESTART = ("config", "set", "LATER=1"), ("deploy",), ("up",), ("restart",)
OLD_NUMBER = 2
OLD, NEW = Served("b", OLD_NUMBER), Served("c", OLD_NUMBER + 1)
_NEXT = (UP, SET, DEPLOY, RESTART)
_AGAIN = ("restart", "scale up", "scale down", "stop", "start", "down")  # the same command may come next
_ENDING = ("stop", "start", "down")  # and nothing else: a restart is refused of what is stopped
_TIDY_WITHIN_S = 60.0
_ASKS = 10
_VERIFY_EVERY = 8


@dataclass(frozen=True, slots=True)
class Change:
    """A command under trial on a home of this kind, and what may be answered after it but for the old.

    `before`: what the home is brought to first. `others`: the counts that the formation may have instead. `serves`:
    whether something answers all the while. `fails`: the command ends as a failed one if nothing goes wrong.
    """

    name: str
    kind: str
    arguments: tuple[str, ...]
    new: Served = OLD
    before: str = ""
    others: Mapping[str, int] = field(default_factory=dict)
    serves: bool = True
    fails: bool = False

    def __hash__(self) -> int:
        return hash((self.name, self.kind))


_ROLL_OUT = ("config", "set", "GREETING=c")
CHANGES = (
    Change("roll-out", "relayed", _ROLL_OUT, NEW),
    Change("roll-out", "alone", _ROLL_OUT, NEW),
    Change("roll-out", "inherited", _ROLL_OUT, NEW),
    Change("failed roll-out", "relayed", ("config", "set", "MODE=dies"), fails=True),
    # Its worker may last until it has settled: then it fails while it is watched.
    Change("failed roll-out", "alone", ("config", "set", "MODE=idle"), Served("b", OLD_NUMBER + 1), fails=True),
    Change("failed roll-out", "inherited", ("config", "set", "MODE=dies"), fails=True),
    Change("flip-back", "relayed", ("config", "set", "MODE=late"), Served("b", OLD_NUMBER + 1), fails=True),
    Change("log cut", "relayed", ("config", "set", "MODE=talks"), Served("b", OLD_NUMBER + 1)),
    Change("rollback", "relayed", ("rollback", "v1", "--yes"), Served("a", OLD_NUMBER + 1)),
    Change("restart", "relayed", ("restart",)),
    Change("restart", "alone", ("restart",)),
    Change("restart", "inherited", ("restart",)),
    Change("scale up", "relayed", ("scale", "web=3", "worker=2"), others={"web": 3, "worker": 2}),
    Change("scale down", "inherited", ("scale", "web=1", "worker=0"), others={"web": 1, "worker": 0}),
    Change("upgrade", "relayed", ("up",), before="upgraded"),
    Change("upgrade", "inherited", ("up",), before="upgraded"),
    Change("up", "alone", ("up",), before="killed", serves=False),
    Change("stop", "relayed", ("stop",), serves=False),
    Change("start", "alone", ("start",), before="stopped", serves=False),
    Change("down", "inherited", ("down",), serves=False),
)


class Harm(StrEnum):
    """KILL: the supervisor is killed. CUT: all processes end at that instant, and the machine boots. POWER: and of what was
    written, only what was synced is left.
    """

    KILL = "kill"
    CUT = "cut"
    POWER = "power"


@dataclass(slots=True)
class Trial:
    """How one went: what came at the point, what the next command was, what was not as it must be."""

    change: Change
    harm: Harm
    target: int
    following: tuple[str, ...]
    told: Done = field(default_factory=lambda: Done(0, "", ""))
    at: str = "not reached"
    answers: int = 0
    failures: int = 0
    lost: int = 0
    next_s: float = 0.0
    wrong: list[str] = field(default_factory=list)

    @property
    def is_reached(self) -> bool:
        return self.at != "not reached"

    def __str__(self) -> str:
        return "\n".join((self.head, *(f"    {line}" for line in self.wrong), f"    said: {self.told.err!r}"))

    @property
    def head(self) -> str:
        """What was tried, in one line."""
        what = f"{self.change.name}, {self.change.kind}: {self.harm} at {self.target} ({self.at})"
        return f"{what}: the command ended with {self.told.status}, then came {' '.join(self.following)}"


def _next(change: Change, target: int) -> tuple[str, ...]:
    """The command that comes next: at each point another of those that may."""
    again = (change.arguments,) if change.name in _AGAIN else ()
    may: tuple[tuple[str, ...], ...] = again if change.name in _ENDING else (*_NEXT, *again)
    return may[target % len(may)]


class SwitchBench:
    """Makes trials in one world."""

    def __init__(self, world: Switched) -> None:
        self._world = world
        self._counts: dict[Change, int] = {}

    def count(self, change: Change) -> int:
        """How many points of the supervisor the undisturbed change has."""
        if change not in self._counts:
            world = self._world
            trivet = self._begin(change)
            with asking(int(world.port)) as client:
                world.points.arm(Role.SUPERVISOR)
                done = world.run(change.arguments, trivet)
                assert (done.status != 0) is change.fails, done.err
                assert client.has_asked(_ASKS)
            self._counts[change] = world.points.count(Role.SUPERVISOR)
            assert not (change.serves and client.failures), client.failures
        return self._counts[change]

    def place(self, change: Change, share: float) -> int:
        """The point at this share of the change's way."""
        return 1 + int(share * self.count(change))

    def try_out(self, change: Change, harm: Harm, target: int) -> Trial:
        """The supervisor came to harm at that point, and afterwards came other commands."""
        world = self._world
        trial = Trial(change, harm, target, _next(change, target) if harm is Harm.KILL else UP)
        trivet = self._begin(change)
        with asking(int(world.port)) as client:
            action = Action.KILL if harm is Harm.KILL else Action.CUT
            world.points.arm(Role.SUPERVISOR, action, target)
            trial.told = world.run(change.arguments, trivet)
            self._await_point(trial)
            if harm is Harm.KILL:
                self._check_unattended(trial, client)
            else:
                world.end_all()
            if harm is Harm.POWER:
                trial.lost = lose(read_journal(world.points.journal), world.home, world.points.kept)
            world.points.clear()
            self._go_on(trial)
            client.has_asked(_ASKS)
        trial.answers = client.answers.total()
        if harm is Harm.KILL and change.serves:
            trial.failures = len(client.failures)
            trial.wrong += [f"a request failed: {failure}" for failure in client.failures[:3]]
        return trial

    def _begin(self, change: Change) -> Trivet:
        world = self._world
        world.begin_as(change.kind)
        if change.before == "stopped":
            world.pointed.ok("stop")
        if change.before == "killed":
            pid = world.pointed.supervisor_pid
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: pid not in world.processes(), what="the supervisor's end")
        if change.before == "upgraded":
            return world.upgraded(world.points)
        return world.patient if change.fails else world.pointed

    def _await_point(self, trial: Trial) -> None:
        """The point has come, perhaps after the command has ended: the old drains, a folder is cleared away."""
        points = self._world.points
        until = time.monotonic() + 2.0
        while not points.is_reached and time.monotonic() < until:
            self._world.grant()
            time.sleep(0.01)
        self._world.grant()
        if points.is_reached:
            found = next((each for each in points.passed() if each.number == trial.target), None)
            trial.at = f"{found.call} {found.what}" if found else "behind the walls of an app"

    def _check_unattended(self, trial: Trial, client: Client) -> None:
        """Though nobody has typed anything, it goes on to be answered, by the old or the new."""
        if not client.has_asked(_ASKS):
            trial.wrong.append("nobody was answered any more")
        allowed = {OLD, trial.change.new}
        if trial.change.serves and (strange := client.answers.keys() - allowed):
            trial.wrong.append(f"answered {strange}")

    def _go_on(self, trial: Trial) -> None:
        """The next command succeeds by itself, and then one release runs, whole; and so does another deploy."""
        began = time.monotonic()
        if trial.harm is Harm.KILL:
            self._expect(trial, " ".join(trial.following), self._world.plain.run(*trial.following))
        else:
            self._expect(trial, "up after a boot", self._world.boot())
        trial.next_s = time.monotonic() - began
        if trial.change.name in ("stop", "start"):
            self._expect(trial, "start", self._world.plain.run("start"))
        if trial.change.name == "down":
            self._expect(trial, "up", self._world.plain.run("up"))
        self._check_whole(trial)
        if trial.following not in (SET, DEPLOY):
            self._expect(trial, "config set", self._world.plain.run(*SET))
            self._check_whole(trial)
        self._check_ledger(trial)
        if trial.wrong:
            log = self._world.home / "run" / "supervisor.log"
            trial.wrong += [f"supervisor.log: {line}" for line in log.read_text(errors="replace").splitlines()[-8:]]

    def _expect(self, trial: Trial, name: str, done: Done) -> None:
        if done.status != 0:
            trial.wrong.append(f"{name} ended with {done.status}: {done.err}")
        for text in (done.err, trial.told.err):
            if "Traceback" in text or "bug in Trivet" in text or "defect of Trivet" in text:
                trial.wrong.append(f"somebody stumbled: {text}")

    def _check_ledger(self, trial: Trial) -> None:
        releases = self._world.plain.ok("releases", "--json", "--all").json()
        states = {release["release"]: release["state"] for release in releases}
        if sorted(states) != list(range(1, len(states) + 1)) or "pending" in states.values():
            trial.wrong.append(f"the releases are {states}")
        good = max(number for number, state in states.items() if state == "succeeded")
        if (served := self._world.served()) is None or served.release != good:
            trial.wrong.append(f"{served} is answered, and v{good} is the last that succeeded")
        if trial.target % _VERIFY_EVERY == 0:
            self._expect(trial, "releases verify", self._world.plain.run("releases", "verify"))

    def _check_whole(self, trial: Trial) -> None:
        """One release runs with all its processes, and nothing else; what the old leaves goes shortly after it."""
        until = time.monotonic() + _TIDY_WITHIN_S
        while found := tuple(self._unlike(trial.change)):
            if time.monotonic() > until:
                trial.wrong.extend(found)
                return
            time.sleep(0.05)

    def _unlike(self, change: Change) -> Iterable[str]:
        """What is not as it must be at the moment."""
        home, running = self._world.home, self._world.processes()
        statuses = self._world.statuses()
        kept = {status["pid"] for status in statuses}
        servers = {pid for pid, line in running.items() if "/run/__main__.py" in line or "/door/__main__.py" in line}
        if len(servers) != 2 or running.keys() != kept | servers:
            yield f"processes {running}, of which {kept} are kept"
        releases = {status["release"] for status in statuses}
        if len(releases) != 1 or not releases <= {getattr(self._world.served(), "release", 0)}:
            yield f"{self._world.served()} is answered, and {releases} run"
        counts = {name: sum(status["process"].split(".")[0] == name for status in statuses) for name in FORMATION}
        if counts not in (FORMATION, {**FORMATION, **change.others}):
            yield f"the formation is {counts}"
        if any(status["state"] != "running" for status in statuses):
            yield f"not all run: {statuses}"
        folders = {str(path) for path in home.glob("tmp/*")}
        if folders != {status["temporary"] for status in statuses}:
            yield f"temporary folders {folders}"
        yield from (f"{left} is left" for left in home.glob("apps/*/deploys/*/run/intent.json"))
        hidden = ("apps/*/deploys/*/run/.*", "apps/*/deploys/*/run/*/.*", "apps/*/deploys/*/releases/.*")
        yield from (f"{left} is left" for pattern in hidden for left in home.glob(pattern))
        yield from self._strange_groups(kept)

    def _strange_groups(self, kept: set[int]) -> Iterable[str]:
        """Groups that hold none of what runs."""
        for group in self._world.groups():
            try:
                pids = set(map(int, (group / "cgroup.procs").read_text().split()))
            except OSError:
                continue
            if not pids & kept:
                yield f"the control group {group} holds {pids}"
