"""Load from a process of its own (`support.clients`), and what it has counted."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import support.clients
from support.command import eventually

DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True)
class Tally:
    """Good answers by release, failures by kind, and the first failures in detail."""

    answers: Mapping[str, int]
    failures: Mapping[str, int]
    details: tuple[str, ...]

    @property
    def lost(self) -> int:
        return sum(self.failures.values())

    @property
    def requests(self) -> int:
        return sum(self.answers.values()) + self.lost


class Load:
    """The clients ask inside the block."""

    def __init__(self, port: int, seed: int) -> None:
        self._argv = (sys.executable, "-I", support.clients.__file__, str(port), str(seed))

    def __enter__(self) -> "Load":
        self._process = subprocess.Popen(self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(DEADLINE_S)
        self._process.stdout.close()

    def tally(self) -> Tally:
        """What was counted so far."""
        return self._ask("so far")

    def stop(self) -> Tally:
        """What was counted in all: every client has finished its last request."""
        return self._ask("stop")

    def wait_for(self, release: str, count: int) -> None:
        """The release has given so many answers more."""
        until = self.tally().answers.get(release, 0) + count
        eventually(
            lambda: self.tally().answers.get(release, 0) >= until,
            deadline_s=DEADLINE_S,
            what=f"{count} answers of {release}",
        )

    def wait_for_requests(self, count: int) -> None:
        """So many requests more have ended, well or not."""
        until = self.tally().requests + count
        eventually(lambda: self.tally().requests >= until, deadline_s=DEADLINE_S, what=f"{count} requests")

    def _ask(self, what: str) -> Tally:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(what, file=self._process.stdin, flush=True)
        told = json.loads(self._process.stdout.readline())
        return Tally(told["answers"], told["failures"], tuple(told["details"]))
