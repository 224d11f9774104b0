"""Processes are held to their limits, and told as out of memory when that is what ended them."""

from collections.abc import Iterator

import pytest

from run.shop import PYTHON, Shop, wait_until
from support.grounds import BOTH, LEGACY, NONE, supervised
from trivet.host.cgroups import Cgroups, find_means
from trivet.model.event import EventKind
from trivet.model.home import Home
from trivet.model.output import Part
from trivet.model.process import Limits, ProcessType
from trivet.model.run import Means
from trivet.run import Call
from trivet.run.leftovers import clear_away_groups
from trivet.run.one_off import Ended

GO = "import os, signal, time\ngo = os.environ['TRIVET_STORAGE'] + '/go'\nwhile not os.path.exists(go): time.sleep(0.01)\n"
GREEDY = (
    GO + "print('taking', flush=True)\nkept = bytearray(300_000_000)\nprint('took it all', flush=True)\nsignal.pause()"
)
GREEDY_CHILD = (
    f"import os, signal\nif os.fork() == 0:\n    exec({GREEDY!r})\nprint('parent', flush=True)\nsignal.pause()"
)
BUSY = "while True: pass"
OPENS = """
import signal
kept = []
try:
    while True: kept.append(open("/dev/null"))
except OSError as error: print(error.errno, kept[-1].fileno())
print("done", flush=True)
signal.pause()
"""
FORKS = """
import os, signal
count = 1
try:
    while os.fork(): count += 1
    signal.pause()
except OSError as error:
    print(error.errno, count, flush=True)
signal.pause()
"""


def _bring_up(shop: Shop, code: str, limits: Limits) -> None:
    kind = ProcessType("worker", f"{PYTHON} w.py", settle_s=0.1, grace_s=5.0, limits=limits)
    shop.release(1, {"w.py": code}, (kind,))
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})


def _go(shop: Shop) -> None:
    (shop.home.storage(shop.deploy) / "go").touch()


def _need(shop: Shop, controller: str) -> None:
    if controller not in shop.machine.means().controllers:
        pytest.skip(f"this kernel lets nobody here have the {controller} controller")


@pytest.fixture(params=[BOTH, LEGACY], ids=["both versions", "version 1 alone"])
def held(quiet_shop: Shop, request: pytest.FixtureRequest) -> Iterator[Shop]:
    """The supervisor has all the control groups that this kernel gives."""
    with supervised(quiet_shop.home, request.param):
        yield quiet_shop


@pytest.fixture
def bare(quiet_shop: Shop) -> Iterator[Shop]:
    """The supervisor sees no control groups."""
    with supervised(quiet_shop.home, NONE):
        yield quiet_shop


@pytest.mark.parametrize("code", [GREEDY, GREEDY_CHILD], ids=["the process itself", "one that it started"])
def test_what_takes_more_memory_than_its_limit_ends_whole_is_told_so_and_started_again(held: Shop, code: str) -> None:
    _need(held, "memory")
    _bring_up(held, code, Limits(memory_bytes=64_000_000))
    _go(held)
    wait_until(lambda: "; restart 2 in 0.1 s\n" in held.log("v1.worker.1"))
    assert held.processes()[0].restarts >= 2
    assert held.processes()[0].last_exit == "out of memory (limit 64 MB)"
    log = held.log("v1.worker.1")
    assert "trivet: worker.1 ran out of memory (limit 64 MB); restart 1 at once\n" in log
    assert "trivet: worker.1 ran out of memory (limit 64 MB); restart 2 in 0.1 s\n" in log
    assert "took it all" not in log
    told = {event.how for event in held.machine.events(held.deploy) if event.kind is EventKind.CRASHED}
    assert told == {"ran out of memory (limit 64 MB)"}


def test_a_new_release_that_needs_more_memory_than_its_limit_is_not_rolled_out(held: Shop) -> None:
    _need(held, "memory")
    kind = ProcessType("web", f"{PYTHON} w.py", limits=Limits(memory_bytes=64_000_000))
    held.release(1, {"w.py": "kept = bytearray(300_000_000)"}, (kind,))
    roll_out = held.roll_out(1)
    assert not roll_out.succeeded
    assert roll_out.reason.startswith("web.1 ran out of memory (limit 64 MB) after ")


def test_the_limits_hold_under_a_supervisor_that_found_the_process_running(held: Shop) -> None:
    _need(held, "memory")
    _bring_up(held, GREEDY, Limits(memory_bytes=64_000_000))
    (before,) = held.processes()
    held.kill_supervisor()
    held.machine.up()
    assert held.processes()[0].pid == before.pid
    _go(held)
    wait_until(lambda: held.processes()[0].restarts >= 1)
    assert held.processes()[0].last_exit == "out of memory (limit 64 MB)"


def test_what_takes_more_of_the_processors_than_its_limit_is_slowed_down(held: Shop) -> None:
    _need(held, "cpu")
    _bring_up(held, BUSY, Limits(cpus=0.1))
    group = Cgroups(held.home.root).find(held.processes()[0].pid or 0)
    assert group is not None
    wait_until(lambda: (group.throttled() or 0) > 2)


def test_no_more_processes_start_than_the_limit(held: Shop) -> None:
    _need(held, "pids")
    _bring_up(held, FORKS, Limits(processes=7))
    wait_until(lambda: "\n" in held.log("v1.worker.1"))
    assert held.log("v1.worker.1") == "11 7\n"


def test_no_more_files_are_opened_than_the_limit(bare: Shop) -> None:
    """That one needs no control groups."""
    _bring_up(bare, OPENS, Limits(files=40))
    wait_until(lambda: "done" in bare.log("v1.worker.1"))
    assert bare.log("v1.worker.1") == "24 39\ndone\n"


def test_a_machine_without_control_groups_says_which_limits_it_does_not_enforce(bare: Shop) -> None:
    means = bare.machine.means()
    assert means == Means()
    assert means.unheld(Limits(1_000_000, 1.0, 100, 10)) == ("memory", "cpu", "processes")
    assert means.unheld(Limits(files=100)) == ()


def test_nothing_is_left_of_the_control_groups_of_what_has_ended(held: Shop) -> None:
    if not held.machine.means().controllers:
        pytest.skip("this kernel lets nobody here have any controller")
    _bring_up(held, FORKS, Limits(64_000_000, 1.0, 100, 20))
    groups = Cgroups(held.home.root)
    group = groups.find(held.processes()[0].pid or 0)
    assert group is not None
    assert group.is_there
    held.machine.stop(held.deploy)
    wait_until(lambda: not group.is_there)
    held.machine.down()
    assert list(groups.find_others(())) == []


def _need_here(controller: str) -> None:
    """For what is run by a command, without the supervisor."""
    if controller not in find_means().controllers:
        pytest.skip(f"nobody here may have the {controller} controller")


def _types(*types: ProcessType) -> tuple[ProcessType, ...]:
    return (*types, ProcessType("web", f"{PYTHON} w.py", limits=Limits(memory_bytes=64_000_000, files=40, processes=7)))


def test_the_release_command_is_held_to_its_limits_and_told_as_out_of_memory(quiet_shop: Shop) -> None:
    _need_here("memory")
    command = ProcessType("release", f"{PYTHON} w.py", limits=Limits(memory_bytes=64_000_000))
    quiet_shop.release(1, {"w.py": "kept = bytearray(300_000_000)\nprint('took it all')"}, _types(command))
    ran = quiet_shop.machine.run_part(quiet_shop.deploy, 1, Call(Part.RELEASE), lambda _: None)
    assert ran is not None
    assert ran.last == ()
    assert ran.output.out_of_memory == "limit 64 MB"
    assert ran.output.told == "ran out of memory (limit 64 MB) and ended with exit status 137"
    assert quiet_shop.machine.outputs(quiet_shop.deploy, 1)[0].output == ran.output


@pytest.mark.parametrize(("code", "controller", "told"), [(FORKS, "pids", "11 7\n"), (OPENS, "", "24 39\ndone\n")])
def test_a_one_off_is_held_to_the_limits_of_a_process_type(
    quiet_shop: Shop, code: str, controller: str, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if controller:
        _need_here(controller)
    quiet_shop.release(1, {"w.py": code.rpartition("signal.pause()")[0]}, _types())
    (*_, kind) = quiet_shop.machine.process_types(quiet_shop.deploy, 1)
    ended = quiet_shop.machine.run_once(quiet_shop.deploy, 1, (), kind)
    assert ended == Ended(0)
    assert told in capfd.readouterr().out
    assert list(Cgroups(quiet_shop.home.root).find_others(())) == []


def test_a_one_off_without_a_process_type_has_no_limits(quiet_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    quiet_shop.release(1, {"w.py": "kept = bytearray(100_000_000)\nprint('took it all')"}, _types())
    assert quiet_shop.machine.run_once(quiet_shop.deploy, 1, (f"{PYTHON} w.py",), None) == Ended(0)
    assert capfd.readouterr().out == "took it all\n"


def test_a_group_that_is_still_to_be_cleared_away_is_nobody_elses(home: Home) -> None:
    """Whoever clears it away kills all in it: that must not be the process that was started since."""
    groups = Cgroups(home.root)
    first = groups.make("shop.production", "v1.web.1", Limits())
    if first is None:
        pytest.skip("nobody here may make control groups")
    try:
        second = groups.make("shop.production", "v1.web.1", Limits())
        assert second is not None
        assert set(second.folders).isdisjoint(first.folders)
        assert first.remove()
        assert second.is_there
    finally:
        clear_away_groups([group for _, group in groups.find_others(())])
        groups.close()
