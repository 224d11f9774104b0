"""`overlap = false`: of such a process type never two run at once, whatever becomes of a roll-out and of the supervisor."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from run.shop import PATIENCE_S, PYTHON, WEB, Shop, wait_until
from trivet.errors import RollOutFailed
from trivet.model.process import ProcessType
from trivet.run.supervisor import intent as intents
from trivet.run.supervisor.intent import Phase

# It takes a lock that only one can have, tells so, and writes down any other that it meets.
ALONE = """
import fcntl, os, signal, sys, time
storage = os.environ["TRIVET_STORAGE"]
lock = open(storage + "/lock", "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    open(storage + "/two", "w").close()
    sys.exit("there are two of us")
def stop(*_):
    while os.path.exists(storage + "/hold"):
        time.sleep(0.01)
    print("bye", flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
print("alone", os.environ["TRIVET_RELEASE"], flush=True)
{then}
while True:
    signal.pause()
"""
STAYS = ALONE.format(then="")
FAILS = ALONE.format(then='sys.exit("no queue")')
FAILS_ONCE = ALONE.format(
    then='once = storage + "/once"\nif os.path.exists(once): os.unlink(once); sys.exit("no queue")'
)
HANGS = ALONE.format(then="time.sleep(600)")


def _release(shop: Shop, number: int, code: str, settle_s: float = 0.1) -> None:
    types = (
        ProcessType("web", f"{PYTHON} web.py", timeout_s=PATIENCE_S, grace_s=PATIENCE_S),
        ProcessType("clock", f"{PYTHON} clock.py", settle_s=settle_s, grace_s=PATIENCE_S, overlaps=False),
    )
    shop.release(number, {"web.py": WEB, "clock.py": code}, types)


@pytest.fixture
def alone(shop: Shop) -> Iterator[Shop]:
    """v1 runs with one clock; of it never two ran until the end of the test."""
    _release(shop, 1, STAYS)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"clock": 1})
    _await_clock(shop, 1)
    yield shop
    assert not (shop.home.storage(shop.deploy) / "two").exists()


def _await_clock(shop: Shop, number: int) -> None:
    """The clock runs, and knows what to do when it is told to end."""
    wait_until(lambda: _log(shop, number).endswith(f"alone v{number}\n"))


def _log(shop: Shop, number: int) -> str:
    return shop.log(f"v{number}.clock.1")


def test_the_old_ends_before_the_new_starts(alone: Shop) -> None:
    shop = alone
    _release(shop, 2, STAYS)
    shop.ok(2)
    assert set(shop.pids()) == {"v2.web.1", "v2.clock.1"}
    _await_clock(shop, 2)
    assert (_log(shop, 1), _log(shop, 2)) == ("alone v1\nbye\n", "alone v2\n")


def test_the_old_comes_back_if_the_new_fails_and_what_overlaps_was_not_touched(alone: Shop) -> None:
    shop = alone
    before = shop.pids()
    _release(shop, 2, FAILS, settle_s=PATIENCE_S)
    roll_out = shop.roll_out(2)
    assert re.fullmatch(r"clock\.1 exited with 1 after \d+\.\d s", roll_out.reason)
    assert roll_out.output == ("alone v2", "no queue")
    after = shop.pids()
    assert set(after) == {"v1.web.1", "v1.clock.1"}
    assert after["v1.web.1"] == before["v1.web.1"]
    wait_until(lambda: _log(shop, 1) == "alone v1\nbye\nalone v1\n")
    assert shop.machine.current(shop.deploy) == 1
    shop.end(after["v1.clock.1"])
    wait_until(lambda: _log(shop, 1).count("alone") == 3)  # it is kept alive again


def test_nothing_of_the_old_ends_if_what_overlaps_does_not_come_up(alone: Shop) -> None:
    shop = alone
    before = shop.pids()
    types = (
        ProcessType("web", "exit 3", timeout_s=PATIENCE_S),
        ProcessType("clock", f"{PYTHON} clock.py", overlaps=False),
    )
    shop.release(2, {"clock.py": STAYS}, types)
    assert not shop.roll_out(2).succeeded
    assert shop.pids() == before


def test_a_restart_starts_no_second_one_either(alone: Shop) -> None:
    shop = alone
    before = shop.pids()
    shop.machine.restart(shop.deploy, "clock")
    assert shop.pids()["v1.web.1"] == before["v1.web.1"]
    assert shop.pids()["v1.clock.1"] != before["v1.clock.1"]
    _await_clock(shop, 1)
    assert _log(shop, 1) == "alone v1\nbye\nalone v1\n"


def test_a_restart_that_fails_does_not_say_that_nothing_was_touched(shop: Shop) -> None:
    _release(shop, 1, FAILS_ONCE, settle_s=3.0)  # a start that fails does so in less
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"clock": 1})
    before = shop.pids()
    (shop.home.storage(shop.deploy) / "once").touch()
    with pytest.raises(RollOutFailed) as raised:
        shop.machine.restart(shop.deploy, None)
    assert raised.value.hint == "What ran before still runs. `trivet logs` shows more; mend the cause and try again."
    assert set(shop.pids()) == set(before)
    assert shop.pids() != before


def test_a_release_that_is_interrupted_while_the_old_ends_brings_it_back(alone: Shop) -> None:
    shop = alone
    _release(shop, 2, STAYS)
    shop.ok(2)
    _await_clock(shop, 2)
    _release(shop, 3, STAYS)
    _hold(shop).touch()
    shop.begin(3)
    _await_phase(shop, Phase.CLEARING)
    shop.machine.abort(shop.deploy)
    _hold(shop).unlink()
    ended = shop.machine.ended(shop.deploy, 3)
    assert ended is not None
    assert ended.reason == "interrupted"
    wait_until(lambda: _log(shop, 2) == "alone v2\nbye\nalone v2\n")
    assert set(shop.pids()) == {"v2.web.1", "v2.clock.1"}


def _hold(shop: Shop) -> Path:
    """While this is there, no clock ends that is told to."""
    return shop.home.storage(shop.deploy) / "hold"


def _await_phase(shop: Shop, phase: Phase) -> None:
    def has_come() -> bool:
        intent = intents.read(shop.home.run(shop.deploy) / "intent.json")
        return intent is not None and intent.phase is phase

    wait_until(has_come)


@pytest.mark.parametrize("phase", [Phase.CLEARING, Phase.REPLACING])
def test_killed_in_between_the_next_supervisor_brings_the_old_back_alone(alone: Shop, phase: Phase) -> None:
    shop = alone
    _release(shop, 2, STAYS)
    shop.ok(2)
    _await_clock(shop, 2)
    _release(shop, 3, HANGS, settle_s=PATIENCE_S)
    if phase is Phase.CLEARING:
        _hold(shop).touch()
    shop.begin(3)
    _await_phase(shop, phase)
    if phase is Phase.REPLACING:
        wait_until(lambda: "v3.clock.1" in shop.pids() and "alone" in _log(shop, 3))
        _hold(shop).touch()
    shop.kill_supervisor()
    shop.machine.up()
    _hold(shop).unlink()
    ended = shop.machine.ended(shop.deploy, 3)
    assert ended is not None
    assert not ended.succeeded
    wait_until(lambda: _log(shop, 2).count("alone v2") == 2)
    wait_until(lambda: set(shop.pids()) == {"v2.web.1", "v2.clock.1"})
    assert shop.fetch().startswith("v2 ")
