"""What a machine does to a supervisor: no descriptors left, a clock that jumps, numbers of processes that come again."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import run.number_again
import support
from run.shop import DEADLINE_S, Shop, free_port, kill, wait_until
from support.points import can_compile
from trivet.model.run import ProcessState
from trivet.run.supervisor import launch

_YEAR_S = 365 * 86400


def test_without_descriptors_nothing_that_runs_is_lost_and_what_crashed_comes_back_when_there_are_some(
    shop: Shop,
) -> None:
    other = shop.beside("blog")
    shop.shop(1), shop.shop(2), other.shop(1)
    shop.ok(1), other.ok(1)
    before, supervisor = {**shop.pids()}, shop.supervisor_pid()
    limits = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (_limit_with_free(supervisor, 3), limits[1]))
    kill(before["v1.web.1"] or 0)
    wait_until(lambda: shop.processes("web.1")[0].state is ProcessState.BACKOFF)
    assert "web.1 could not be started (" in shop.log("v1.web.1")
    assert "Too many open files" in shop.log("v1.web.1")
    assert other.fetch().startswith("v1 ")
    failed = other.roll_out(1)
    assert not failed.succeeded
    assert "Too many open files" in failed.reason
    assert other.fetch().startswith("v1 ")
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, limits)
    wait_until(lambda: shop.get()[0] == 200)
    assert shop.supervisor_pid() == supervisor
    shop.ok(2)
    assert shop.fetch().startswith("v2 ")


def _limit_with_free(pid: int, free: int) -> int:
    """The limit under which so many descriptors more may be opened: clients, one after the other, need two."""
    used = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
    limit = 0
    while free:
        free -= limit not in used
        limit += 1
    return limit


def _clock(folder: Path) -> Path:
    library = folder / "clock.so"
    source = Path(support.__file__).parent / "clock.c"
    subprocess.run(("cc", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"), check=True)
    return library


@pytest.mark.skipif(not can_compile(), reason="there is no C compiler")
def test_a_clock_that_jumps_moves_nothing_but_what_is_shown(
    quiet_shop: Shop, tmp_path: Path, set_clock: Callable[[int], None]
) -> None:
    shop = quiet_shop
    shop.home.supervisor.mkdir(parents=True)
    environment = {"PATH": os.environ["PATH"], "LD_PRELOAD": str(_clock(tmp_path)), "CLOCK": str(tmp_path / "clock")}
    with subprocess.Popen(launch.argv(shop.home), env=environment, stderr=subprocess.DEVNULL) as supervisor:
        try:
            wait_until(shop.machine.is_up)
            shop.shop(1), shop.shop(2)
            port = free_port()
            shop.ok(1, port)
            began = time.monotonic()
            for years, number in ((10, 2), (-10, 1)):
                set_clock(years)
                (process,) = shop.processes("web.1")
                kill(process.pid or 0)
                wait_until(lambda old=process.pid: shop.processes("web.1")[0].pid not in (None, old))  # type: ignore[misc]
                year = int(shop.processes("web.1")[0].since[:4])
                assert year == time.gmtime(time.time() + _YEAR_S * years).tm_year
                assert shop.fetch().startswith(f"v{3 - number} ")
                shop.ok(number)
                assert shop.fetch().startswith(f"v{number} ")
            assert time.monotonic() - began < DEADLINE_S * 2
        finally:
            shop.machine.down()
        assert supervisor.wait(DEADLINE_S) == 0


@pytest.fixture
def set_clock(tmp_path: Path) -> Callable[[int], None]:
    """Sets the wall clock of processes with clock.c: so many years more or less than it is."""
    clock = tmp_path / "clock"

    def jump(years: int) -> None:
        fresh = tmp_path / "clock.new"
        fresh.write_text(f"{years * _YEAR_S}\n")
        fresh.rename(clock)

    jump(0)
    return jump


@pytest.mark.parametrize("since_s", [-3e8, 3e8], ids=["set back since", "set forward since"])
def test_a_process_from_another_time_is_adopted_and_kept_alive(shop: Shop, since_s: float) -> None:
    shop.shop(1)
    shop.ok(1)
    (before,) = shop.processes("web.1")
    shop.kill_supervisor()
    file = shop.home.run(shop.deploy) / "status" / "v1.web.1.json"
    text = file.read_text()
    start = text.index('"since":') + len('"since":')
    end = min(place for place in (text.find(",", start), text.find("}", start)) if place >= 0)
    file.write_text(f"{text[:start]}{time.time() + since_s}{text[end:]}")
    shop.machine.up()
    assert shop.processes("web.1")[0].pid == before.pid
    kill(before.pid or 0)
    wait_until(lambda: shop.processes("web.1")[0].pid not in (None, before.pid))
    assert shop.fetch().startswith("v1 ")


def test_a_number_that_comes_again_is_not_taken_for_the_process_that_had_it(quiet_shop: Shop) -> None:
    """In a namespace of its own for numbers of processes, where the next one can be chosen (pid_namespaces(7))."""
    script = Path(run.number_again.__file__)
    argv = (
        "unshare",
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child",
        sys.executable,
        str(script),
        str(quiet_shop.home.root),
    )
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "the stranger lives, and the worker runs under another number\n"), done
