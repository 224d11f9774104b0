"""Nothing that a process has started outlives it, whatever it does to get away: counted on machines with and without groups."""

import os
import re
import signal
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from run.shop import Shop, wait_until
from support.grounds import BOTH, NONE, running, supervised
from trivet.model.process import ProcessType

# argv[1] is the word by which the test finds them all, argv[2] how they get away.
ESCAPES = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[2] == "deaf" else lambda *_: sys.exit(0))
def daemon(environment):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execve(sys.executable, [sys.executable, "-S", "-c", "import signal; signal.pause()", sys.argv[1]], environment)
        os._exit(0)
    os.wait()
def child():
    if os.fork() == 0:
        signal.pause()
        os._exit(0)
how = sys.argv[2]
if how in ("daemon", "deaf"):
    daemon(dict(os.environ))
if how == "nameless":
    daemon({})
if how == "family":
    for _ in range(5): child()
if how == "restless":
    # Ends and is replaced by a child in a session of its own, again and again: it is never the same when looked at.
    if os.fork() == 0:
        until = time.monotonic() + 60  # a test that is killed must not leave it for ever
        while time.monotonic() < until:
            if os.fork(): os._exit(0)
            os.setsid()
            time.sleep(0.02)
        os._exit(0)
print("ready", flush=True)
while True: signal.pause()
"""
HOW = ("daemon", "deaf", "nameless", "family", "restless")


@dataclass(frozen=True, slots=True)
class Haunt:
    """A deploy whose worker starts processes that all have `word` in their command."""

    shop: Shop
    word: str

    def begin(self, how: str) -> None:
        """They run."""
        self._release(1, how)
        self.shop.ok(1)
        self.shop.machine.scale(self.shop.deploy, {"worker": 1})
        wait_until(lambda: "ready" in self.shop.log("v1.worker.1"))
        if how != "restless":  # that one is gone before anybody has looked
            wait_until(lambda: len(running(self.word)) > 1)

    def roll_out(self) -> None:
        """The second release, whose worker starts nothing, has taken the place of the first."""
        self._release(2, "quiet")
        self.shop.ok(2)

    def wait_for(self, count: int) -> None:
        """So many of them are left, and none of them is waiting to be reaped."""
        wait_until(lambda: len(running(self.word)) == count and "Z" not in running(self.word).values())

    def _release(self, number: int, how: str) -> None:
        command = f"exec {sys.executable} -S -u w.py {self.word} {how}"
        kind = ProcessType("worker", command, settle_s=0.1, grace_s=0.3 if how == "deaf" else 5.0)
        self.shop.release(number, {"w.py": ESCAPES}, (kind,))


@pytest.fixture(params=[BOTH, NONE], ids=["groups", "no groups"])
def haunt(quiet_shop: Shop, request: pytest.FixtureRequest) -> Iterator[Haunt]:
    with supervised(quiet_shop.home, request.param):
        yield Haunt(quiet_shop, f"haunt-{uuid.uuid4()}")


@pytest.mark.parametrize("how", HOW)
def test_nothing_outlives_a_stop(haunt: Haunt, how: str) -> None:
    haunt.begin(how)
    haunt.shop.machine.stop(haunt.shop.deploy)
    haunt.wait_for(0)


@pytest.mark.parametrize("how", ["nameless", "restless"])
def test_nothing_of_the_old_release_outlives_a_roll_out(haunt: Haunt, how: str) -> None:
    haunt.begin(how)
    haunt.roll_out()
    haunt.wait_for(1)


def test_nothing_that_a_process_started_outlives_its_crash(haunt: Haunt) -> None:
    haunt.begin("nameless")
    before = frozenset(running(haunt.word))
    os.kill(haunt.shop.processes()[0].pid or 0, signal.SIGKILL)
    wait_until(lambda: not before & running(haunt.word).keys())
    haunt.wait_for(2)


def test_nothing_outlives_the_end_of_a_supervisor_that_was_killed_before(haunt: Haunt) -> None:
    haunt.begin("daemon")
    haunt.shop.kill_supervisor()
    haunt.shop.machine.up()
    assert len(running(haunt.word)) == 2
    haunt.shop.machine.down()
    haunt.wait_for(0)


def test_what_hides_is_found_by_the_group_it_is_in_after_the_supervisor_was_killed(quiet_shop: Shop) -> None:
    with supervised(quiet_shop.home, BOTH) as machine:
        if machine.means().killing is None:
            pytest.skip("this kernel lets nobody here have control groups of version 2")
        haunt = Haunt(quiet_shop, f"haunt-{uuid.uuid4()}")
        haunt.begin("nameless")
        before = frozenset(running(haunt.word))
        haunt.shop.kill_supervisor()
        haunt.shop.end(*(each.pid for each in haunt.shop.processes()))
        haunt.shop.machine.up()
        wait_until(lambda: not before & running(haunt.word).keys())
        haunt.wait_for(2)


def test_what_is_left_to_the_supervisor_and_ends_is_reaped(haunt: Haunt) -> None:
    haunt.begin("nameless")
    pids = running(haunt.word).keys() - {haunt.shop.processes()[0].pid}
    supervisor = haunt.shop.supervisor_pid()
    for pid in pids:
        assert re.search(rf"^PPid:\t{supervisor}$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: running(haunt.word).keys() == {haunt.shop.processes()[0].pid})
