"""A program in which two processes at a time race for one deploy: `racer.py HOME DRAFT RACES SEED`.

Both begin at the same moment and go the way of every command that releases. What they do is a line each in HOME/journal:
"RACE PID enters|leaves|dies" and "RACE PID waits TOLD". In some races whoever is first kills itself while it holds the lock.
"""

import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from trivet.flows.installation import Installation
from trivet.flows.interruption import releasing_on
from trivet.model.config import Config
from trivet.model.document import read_document
from trivet.model.home import Home
from trivet.model.release import Draft, Outcome, State


@dataclass(frozen=True)
class Racer:
    """One of two: its race, and at which moment it dies if it is first (0: never)."""

    home: Home
    draft: Draft
    race: int
    dies_at: int

    def run(self) -> None:
        with releasing_on(Installation(self.home, self.draft.actor), self.draft.deploy, "race", self) as ledger:
            self._journal("enters")
            self._die(1)
            number = ledger.append(self.draft, Config()).number
            self._die(2)
            ledger.conclude(self.draft.deploy, number, Outcome(State.SUCCEEDED))
            self._die(3)
            self._journal("leaves")

    def notice(self, text: str) -> None:
        self._journal(f"waits {text}")

    def step(self, stage: str, text: str) -> None: ...

    def output(self, line: str) -> None: ...

    def _die(self, moment: int) -> None:
        if moment == self.dies_at:
            try:
                (self.home.root / f"died.{self.race}").mkdir()
            except FileExistsError:  # the first has
                return
            time.sleep(random.uniform(0, 0.004))
            self._journal("dies")
            os.kill(os.getpid(), signal.SIGKILL)

    def _journal(self, line: str) -> None:
        with (self.home.root / "journal").open("ab", buffering=0) as file:
            file.write(f"{self.race} {os.getpid()} {line}\n".encode())


def _start(racer: Racer, gate: int, own_end: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.close(own_end)
        os.read(gate, 1)  # ends when the gate is opened, which is closing its other end
        racer.run()
        status = 0
    finally:
        os._exit(status)


def main() -> int:
    home, races, chance = Home(Path(sys.argv[1])), int(sys.argv[3]), random.Random(int(sys.argv[4]))
    draft = read_document(Draft, Path(sys.argv[2]).read_text(), name="draft")
    failed = 0
    for race in range(races):
        gate, own_end = os.pipe()
        racer = Racer(home, draft, race, chance.choice((0, 0, 1, 2, 3)))
        pids = [_start(racer, gate, own_end) for _ in range(2)]
        os.close(own_end)
        statuses = [os.waitpid(pid, 0)[1] for pid in pids]
        os.close(gate)
        failed += sum(status not in (0, signal.SIGKILL) for status in statuses)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
