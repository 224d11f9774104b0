"""The supervisor is killed in the middle of a roll-out, at each phase; whoever starts next finishes or undoes it."""

import os
import random
import re
import threading
import time
from pathlib import Path

import pytest

from run.shop import DEADLINE_S, WEB, Shop, kill, wait_until
from trivet.errors import RunError
from trivet.host import processes
from trivet.model.run import RollOut
from trivet.run import desired
from trivet.run.supervisor import intent as intents
from trivet.run.supervisor.intent import Phase

SLEEPS_BEFORE = "import os, time\nwhile not os.path.exists(os.environ['TRIVET_STORAGE'] + '/go'): time.sleep(0.01)\n"
HANGS = "import time; time.sleep(600)"


def _in_the_middle(shop: Shop) -> dict[str, int | None]:
    """v1 serves, v2 has been started and is not ready; the pids."""
    shop.web(1, WEB)
    shop.ok(1)
    shop.web(2, HANGS)
    shop.begin(2)
    wait_until(lambda: len(shop.pids()) == 2)
    return shop.pids()


def test_killed_before_the_shift_the_new_release_is_undone(shop: Shop) -> None:
    before = _in_the_middle(shop)
    shop.kill_supervisor()
    ended = shop.machine.ended(shop.deploy, 2)  # starts the supervisor: there is an intent
    assert ended is not None
    assert not ended.succeeded
    assert ended.reason == "interrupted: the supervisor ended before all of its processes were ready"
    wait_until(lambda: shop.pids() == {"v1.web.1": before["v1.web.1"]})
    wait_until(lambda: processes.start_time(before["v2.web.1"] or 0) is None)
    assert shop.fetch().startswith("v1 ")
    assert shop.machine.current(shop.deploy) == 1
    assert not (shop.home.run(shop.deploy) / "intent.json").exists()


@pytest.mark.parametrize("moved", [False, True], ids=["link not moved yet", "link moved"])
@pytest.mark.parametrize("phase", [Phase.SHIFTING, Phase.SHIFTED])
def test_killed_while_shifting_the_new_release_is_undone_and_afterwards_it_is_finished(
    shop: Shop, phase: Phase, moved: bool
) -> None:
    meant, other = (1, 2) if phase is Phase.SHIFTING else (2, 1)
    shop.web(1, WEB)
    shop.ok(1)
    shop.web(2, SLEEPS_BEFORE + WEB)
    shop.begin(2)
    wait_until(lambda: len(shop.pids()) == 2)
    before = shop.pids()
    shop.kill_supervisor()
    path = shop.home.run(shop.deploy) / "intent.json"
    intent = intents.read(path)
    assert intent is not None
    intents.write(path, intents.Intent(2, 1, phase, True, intent.starts, intent.drops, intent.began_at, intent.address))
    if moved:
        desired.write_current(shop.home, shop.deploy, 2)
    (shop.home.storage(shop.deploy) / "go").touch()
    shop.machine.up()
    assert shop.fetch().startswith(f"v{meant} ")
    ended = shop.machine.ended(shop.deploy, 2)
    assert ended is not None
    if phase is Phase.SHIFTING:
        assert (ended.succeeded, ended.reason) == (
            False,
            "interrupted: the supervisor ended before it had taken over",
        )
    else:
        assert (ended.succeeded, ended.address) == (True, shop.machine.address(shop.deploy))
    wait_until(lambda: shop.pids() == {f"v{meant}.web.1": before[f"v{meant}.web.1"]})
    wait_until(lambda: processes.start_time(before[f"v{other}.web.1"] or 0) is None)
    assert shop.machine.current(shop.deploy) == meant


def test_killed_while_the_old_release_drains_it_is_still_waited_for_and_then_ended(shop: Shop) -> None:
    slow = WEB.replace(
        'body = (os.environ["TRIVET_RELEASE"]',
        'if self.path == "/slow":\n            print("begun", flush=True)\n            __import__("time").sleep(1.5)\n'
        '        body = (os.environ["TRIVET_RELEASE"]',
    )
    shop.web(1, slow)
    shop.web(2, WEB)
    shop.ok(1)
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(shop.fetch("/slow")))
    thread.start()
    wait_until(lambda: "begun" in shop.log("v1.web.1"))
    shop.begin(2)
    wait_until(lambda: shop.machine.current(shop.deploy) == 2)
    shop.kill_supervisor()
    shop.machine.up()
    assert shop.fetch().startswith("v2 ")
    thread.join()
    assert answers[0].startswith("v1 ")
    wait_until(lambda: set(shop.pids()) == {"v2.web.1"})
    ended = shop.machine.ended(shop.deploy, 2)
    assert ended is not None
    assert ended.succeeded


def test_after_a_reboot_in_the_middle_only_the_old_release_is_started(shop: Shop) -> None:
    before = _in_the_middle(shop)
    shop.kill_supervisor()
    shop.end(*before.values())
    started = processes.start_time(os.getpid())  # process numbers are used again: this one is ours by now
    for path in (shop.home.run(shop.deploy) / "status").glob("*.json"):
        text = path.read_text().replace(processes.boot_id(), "another-boot")
        text, pids = re.subn(r'("pid":)\d+', rf"\g<1>{os.getpid()}", text)
        text, starts = re.subn(r'("start_time":)\d+', rf"\g<1>{started}", text)
        assert (pids, starts) == (1, 1)
        path.write_text(text)
    shop.machine.up()
    assert set(shop.pids()) == {"v1.web.1"}
    assert shop.pids()["v1.web.1"] not in (before["v1.web.1"], os.getpid())
    assert shop.fetch().startswith("v1 ")


def test_an_intent_that_cannot_be_read_counts_as_absent(shop: Shop) -> None:
    before = _in_the_middle(shop)
    shop.kill_supervisor()
    (shop.home.run(shop.deploy) / "intent.json").write_text("{")
    shop.machine.up()
    wait_until(lambda: shop.pids() == {"v1.web.1": before["v1.web.1"]})
    assert shop.fetch().startswith("v1 ")


def test_a_roll_out_whose_end_cannot_be_written_down_serves_and_is_told(shop: Shop) -> None:
    shop.web(1, SLEEPS_BEFORE + WEB)
    told: list[RollOut] = []
    thread = threading.Thread(target=lambda: told.append(shop.roll_out(1)))
    thread.start()
    wait_until(lambda: (shop.home.run(shop.deploy) / "intent.json").exists())
    folder = shop.home.run(shop.deploy) / "rollouts"
    folder.rmdir()
    folder.touch()
    (shop.home.storage(shop.deploy) / "go").touch()
    thread.join(DEADLINE_S)
    assert told[0].succeeded
    assert shop.fetch().startswith("v1 ")
    folder.unlink()


@pytest.mark.slow
def test_killed_at_any_moment_there_is_one_release_that_serves_and_one_truth(shop: Shop) -> None:
    chance = random.Random(20261123)
    shop.shop(1)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    began = time.monotonic()
    shop.shop(2)
    shop.ok(2)
    takes_s = time.monotonic() - began  # here and now: the moments are to lie within
    current = 2
    for number in range(3, 23):
        shop.shop(number)
        _roll_out_and_kill(shop, number, chance.uniform(0.0, 1.5 * takes_s))
        ended = shop.machine.ended(shop.deploy, number)
        if ended is not None and ended.succeeded:
            current = number
        assert shop.machine.current(shop.deploy) == current
        assert shop.fetch().startswith(f"v{current} ")
        expected = {f"v{current}.web.1", f"v{current}.worker.1"}
        wait_until(lambda expected=expected: sorted(shop.pids()) == sorted(expected))  # type: ignore[misc]
        assert len(shop.processes()) == 2
        assert not (shop.home.run(shop.deploy) / "intent.json").exists()
    assert _count_of(shop, "web.py") == 1
    assert _count_of(shop, "worker.py") == 1


def _roll_out_and_kill(shop: Shop, number: int, after_s: float) -> None:
    told: list[RollOut] = []

    def ask() -> None:
        try:
            told.append(shop.roll_out(number))
        except RunError:
            return

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(after_s)
    kill(shop.supervisor_pid())  # whoever has not asked yet starts another at once
    thread.join()
    shop.machine.up()


def _count_of(shop: Shop, program: str) -> int:
    """How many processes run this program of the shop, whatever anybody thinks."""
    root = str(shop.home.root)

    def is_it(path: Path) -> bool:
        try:
            return program in processes.command_line(int(path.name)) and (path / "cwd").readlink().is_relative_to(root)
        except OSError:
            return False

    return sum(is_it(path) for path in Path("/proc").iterdir() if path.name.isdigit())
