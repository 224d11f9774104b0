"""Switches in a row by the real `trivet` command, under load: deploys, rollbacks, failed deploys, killed supervisors.

And what else changes the processes that run: another config, a restart, another formation.
"""

import contextlib
import os
import random
import signal
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

from support.command import Trivet, eventually
from support.load import Load
from support.loaded import Loaded
from support.repository import Repository

FAILED = 40  # exit code of a deploy whose release did not become what serves
PATIENCE_S = 60
IMPATIENCE_S = 1.5
BAD = {
    "crash": "exec sh -c 'echo no database configured >&2; exit 3'",
    "silent": "exec sleep 600",
    "sick": "MANNER=sick exec COMMAND",
    "fading": "MANNER=fading exec COMMAND",
}


@dataclass(frozen=True, slots=True)
class Turn:
    """One switch; the supervisor is killed `before` it, `during` it, or not at all ("")."""

    what: str
    killed: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """How many of each there are. `others`: "config", "restart", "scale"; `kills` fall on some of the turns."""

    deploys: int = 1
    rollbacks: int = 1
    failures: int = 1
    kills: int = 0
    others: tuple[str, ...] = ()


def choose_turns(seed: int, row: Row) -> tuple[Turn, ...]:
    """In an order by chance that begins with a deploy; every other kill falls into a deploy. Pure."""
    chance = random.Random(seed)
    bad = list(islice(cycle(chance.sample(list(BAD), len(BAD))), row.failures))
    rest = ["deploy"] * (row.deploys - 1) + ["rollback"] * row.rollbacks + bad + list(row.others)
    chance.shuffle(rest)
    turns = [Turn("deploy"), *(Turn(what) for what in rest)]
    for number in range(row.kills):
        killed = "before" if number % 2 == 0 else "during"
        free = [
            at for at, turn in enumerate(turns) if not turn.killed and (killed == "before" or turn.what == "deploy")
        ]
        at = chance.choice(free)
        turns[at] = Turn(turns[at].what, killed)
    return tuple(turns)


@dataclass
class Switching:
    """A deploy of the app that is switched under load; after each turn, whoever serves has answered `answers` times."""

    trivet: Trivet
    repository: Repository
    app: Loaded
    seed: int
    answers: int
    serving: int = 0
    origin: int = 0  # the deployed release that `serving` is, or is again
    deployed: list[int] = field(default_factory=list)
    shown: set[str] = field(
        default_factory=set
    )  # what users may have seen: all but releases that were found bad in time
    commits: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.seed} places")

    def begin(self) -> int:
        """The port at which the first release serves."""
        self._commit("deploy")
        told = self.trivet.ok("deploy", "--json").json()
        self._note(told["release"], told["release"])
        return int(str(told["address"]).rpartition(":")[2])

    def take(self, turn: Turn, load: Load) -> None:
        """The turn is over; what serves is what should."""
        if turn.killed == "before":
            self._kill()
            load.wait_for(f"v{self.serving}", self.answers // 4)
            self.trivet.ok("up")
        if turn.what == "rollback":
            self._roll_back()
        elif turn.what == "deploy":
            self._deploy(load if turn.killed == "during" else None)
        elif turn.what == "config":
            self.trivet.ok("config", "set", f"COMMITS={self.commits}")
            self._note(self._newest(), self._newest())
        elif turn.what == "restart":
            self.trivet.ok("restart")
        elif turn.what == "scale":
            self.processes = 3 - self.processes
            self.trivet.ok("scale", f"web={self.processes}")
        else:
            self._fail(turn.what)
        load.wait_for(f"v{self.serving}", self.answers)

    def _note(self, release: int, origin: int) -> None:
        self.serving, self.origin = release, origin
        self.shown.add(f"v{release}")
        if release == origin:
            self.deployed.append(release)

    def _roll_back(self) -> None:
        origin = self.chance.choice([release for release in self.deployed if release != self.origin])
        told = self.trivet.ok("rollback", f"v{origin}", "--yes", "--json").json()
        self._note(told["release"], origin)

    def _deploy(self, load: Load | None) -> None:
        self._commit("deploy")
        if load is not None:
            self._be_interrupted(load)
        told = self.trivet.ok("deploy", "--json").json()
        self._note(told["release"], told["release"])

    def _be_interrupted(self, load: Load) -> None:
        """A deploy whose supervisor is killed at some moment, and started again."""
        with self.trivet.start("deploy", "--json") as process:
            load.wait_for_requests(self.chance.randrange(self.answers * 2))
            self._kill()
            self.trivet.ok("up")
            process.communicate(timeout=120)
        self.shown.add(f"v{self._newest()}")

    def _fail(self, how: str) -> None:
        self._commit(how)
        done = self.trivet.run("deploy", "--json")
        assert done.status == FAILED, f"a release that is {how}: {done.status}\n{done.out}\n{done.err}"
        if how == "fading":  # found out only after the switch: it has answered meanwhile, and well
            self.shown.add(f"v{self._newest()}")

    def _newest(self) -> int:
        return max(int(each["release"]) for each in self.trivet.ok("releases", "--json").json())

    def _kill(self) -> None:
        pid = self.trivet.supervisor_pid
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: not Path(f"/proc/{pid}").exists(), what="the end of the supervisor")

    def _commit(self, manner: str) -> None:
        self.commits += 1
        command = BAD.get(manner, "exec COMMAND").replace("COMMAND", self.app.command)
        timeout_s = IMPATIENCE_S if manner in ("silent", "sick") else PATIENCE_S
        settings = (
            'app = "shop"\n\n[build]\nbuilder = "procfile"\n\n[processes.web]\n'
            f'health = {{ path = "/health", interval = 0.05 }}\ntimeout = {timeout_s}\n'
        )
        settings += 'socket = "inherit"\n' if self.app.inherits else ""
        settings += "warm = 5\n" if manner == "fading" else ""  # until a user's request has come, and a check after it
        files = {"Procfile": f"web: {command}\n", "trivet.toml": settings, "commits": f"{self.commits}\n"}
        self.repository.commit({**self.app.files, **files})
