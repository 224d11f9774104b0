"""The supervisor as a program: small, alone, started and ended in the open."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from run.shop import DEADLINE_S, Shop, wait_until
from trivet.errors import RunError, SupervisorUnreachable
from trivet.host import processes
from trivet.model.home import Home
from trivet.model.process import ProcessType
from trivet.run import Machine, users
from trivet.run.supervisor import launch, link

_MOST_MB = 15.0 if sys.version_info < (3, 12) else 16.0  # the bare interpreter grew by 0.8 MB
_FOREGROUND = """
import sys
from pathlib import Path
from trivet.model.home import Home
from trivet.run import Machine
Machine(Home(Path(sys.argv[1]))).run_foreground()
"""


def _memory_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def _with_processes(shop: Shop, count: int) -> None:
    shop.release(1, {}, (ProcessType("worker", "sleep 600", settle_s=0.1, grace_s=2.0),))
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": count})


def test_the_supervisor_of_a_hundred_processes_needs_less_than_15_mb(shop: Shop) -> None:
    shop.machine.down()
    shop.machine.up()  # again: the first start may have compiled its modules
    _with_processes(shop, 100)
    assert _memory_mb(shop.supervisor_pid()) < _MOST_MB
    shop.kill_supervisor()
    shop.machine.up()
    assert _memory_mb(shop.supervisor_pid()) < _MOST_MB


def test_the_supervisor_imports_nothing_but_the_standard_library_and_little_of_it(shop: Shop) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2] / 'src')!r})\n"
        "from trivet.run import lean; lean.leave_out()\nimport trivet.run.supervisor.daemon\n"
        "print(*sorted(sys.modules))"
    )
    done = subprocess.run((sys.executable, "-I", "-S", "-OO", "-c", code), capture_output=True, text=True, check=True)
    heavy = {
        "subprocess",
        "asyncio",
        "logging",
        "argparse",
        "sqlite3",
        "tomllib",
        "http",
        "ssl",
        "ast",
        "site",
        "email",
        "weakref",  # the stand-ins of lean.py are enough
        "selectors",
        "ipaddress",
        "calendar",
        "zoneinfo",
        "trivet.model.cron",
        "trivet.run.supervisor.timetable",
        "datetime",
        "typing.io",
    }
    assert set(done.stdout.split()) & heavy == set()


def test_the_environment_of_whoever_starts_it_does_not_reach_the_supervisor(shop: Shop) -> None:
    names = {
        entry.partition(b"=")[0] for entry in Path(f"/proc/{shop.supervisor_pid()}/environ").read_bytes().split(b"\0")
    }
    assert names - {b"", b"LC_CTYPE"} == {b"PATH", b"LC_ALL"}
    assert Path(f"/proc/{shop.supervisor_pid()}/cwd").readlink() == Path("/")


def test_up_twice_is_up_once(shop: Shop) -> None:
    pid = shop.supervisor_pid()
    shop.machine.up()
    assert shop.supervisor_pid() == pid


def test_of_many_that_start_it_at_once_one_supervisor_runs(home: Home) -> None:
    machines = [Machine(home) for _ in range(5)]
    threads = [threading.Thread(target=machine.up) for machine in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answered = link.ask(home, {"do": "hello"}, within_s=DEADLINE_S)["pid"]
    wait_until(lambda: _supervisors(home) == [answered])
    machines[0].down()
    wait_until(lambda: _supervisors(home) == [])


def test_a_home_may_lie_deeper_than_a_sockets_address_is_long(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    machine = Machine(Home(deep))
    machine.up()
    assert machine.is_up()
    machine.down()
    assert not machine.is_up()


def test_what_needs_the_supervisor_says_how_to_start_it(home: Home, shop: Shop) -> None:
    shop.shop(1)
    shop.machine.down()
    with pytest.raises(SupervisorUnreachable) as raised:
        shop.roll_out(1)
    assert (raised.value.message, raised.value.hint) == ("The supervisor does not run.", "Start it: trivet up")


def test_a_supervisor_that_cannot_start_says_why(home: Home) -> None:
    home.supervisor.mkdir(parents=True)
    launch.socket_path(home).mkdir()
    (launch.socket_path(home) / "in the way").touch()
    with pytest.raises(SupervisorUnreachable) as raised:
        Machine(home).up()
    assert raised.value.message == "The supervisor did not start: it exited with 1."
    assert raised.value.hint == f"{launch.log_path(home)} says more."
    assert any("control.sock" in line for line in raised.value.detail)


def test_a_request_that_the_supervisor_does_not_know_is_refused(shop: Shop) -> None:
    with pytest.raises(RunError) as raised:
        link.ask(shop.home, {"do": "dance"}, within_s=DEADLINE_S)
    assert raised.value.message == "The supervisor does not know what 'dance' means."
    assert raised.value.hint == (
        "It was started by another version of Trivet; `trivet up` replaces it, and nothing that runs is restarted."
    )


def test_the_control_socket_and_the_logs_are_for_our_user_only(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    log = shop.home.run(shop.deploy) / "logs" / "v1.web.1.log"
    assert launch.socket_path(shop.home).stat().st_mode & 0o077 == 0
    assert log.stat().st_mode & 0o077 in ((0, 0o020) if users.are_kept_apart() else (0,))  # by its app's user
    for folder in (shop.home.supervisor, shop.home.run(shop.deploy) / "logs", shop.home.storage(shop.deploy)):
        assert folder.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def foreground(shop: Shop) -> Iterator["subprocess.Popen[bytes]"]:
    """A supervisor in the foreground, in place of the one that ran."""
    _with_processes(shop, 2)
    shop.machine.down()
    source = str(Path(__file__).parents[2] / "src")
    process = subprocess.Popen((sys.executable, "-c", _FOREGROUND, str(shop.home.root)), env={"PYTHONPATH": source})
    wait_until(shop.machine.is_up)
    yield process
    if process.poll() is None:
        process.kill()
    process.wait(DEADLINE_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_supervisor_in_the_foreground_ends_with_all_it_runs(
    shop: Shop, foreground: "subprocess.Popen[bytes]", number: signal.Signals
) -> None:
    assert shop.supervisor_pid() == foreground.pid
    assert len(shop.processes()) == 2
    foreground.send_signal(number)
    assert foreground.wait(DEADLINE_S) == 0
    assert shop.processes() == ()
    assert shop.machine.current(shop.deploy) == 1


def test_a_second_supervisor_in_the_foreground_is_refused(shop: Shop, foreground: "subprocess.Popen[bytes]") -> None:
    with pytest.raises(SupervisorUnreachable) as raised:
        shop.machine.run_foreground()
    assert (raised.value.message, raised.value.hint) == (
        "A supervisor of this home runs already.",
        "End it first: trivet down",
    )
    assert foreground.poll() is None


def test_destroying_a_deploy_ends_it_even_if_its_supervisor_was_killed(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    pid = shop.pids()["v1.web.1"] or 0
    shop.kill_supervisor()
    shop.machine.destroy(shop.deploy)
    assert processes.start_time(pid) is None
    assert not shop.home.run(shop.deploy).exists()
    assert shop.processes() == ()


def test_how_a_process_ended_is_told_of_our_own_and_of_strangers() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(37)
    pidfd = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(DEADLINE_S * 1000)
    assert str(processes.peek_exit(pidfd)) == "exit 37"
    assert str(processes.exit_of(pidfd)) == "exit 37"
    assert str(processes.exit_of(pidfd)) in ("exit 37", "exit unknown")  # reaped by now: Linux 6.15 still knows
    os.close(pidfd)


def test_a_process_is_found_again_by_its_number_and_start_only() -> None:
    started = processes.start_time(os.getpid())
    assert started is not None
    pidfd = processes.find_again(os.getpid(), started)
    assert pidfd is not None
    os.close(pidfd)
    assert processes.find_again(os.getpid(), started + 1) is None
    assert processes.find_again(2**22 + 1, 1) is None


def _supervisors(home: Home) -> list[int]:
    numbers = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in numbers if f"run/__main__.py {home.root} " in f"{processes.command_line(pid)} "]


def test_a_log_that_cannot_be_written_is_in_nobody_s_way(shop: Shop) -> None:
    """As on a full disk: whoever asks for something gets an answer, also if there is trouble to be told of."""
    shop.machine.down()
    with (
        Path("/dev/full").open("wb") as full,
        subprocess.Popen(
            (sys.executable, "-c", _FOREGROUND, shop.home.root), stdout=subprocess.DEVNULL, stderr=full
        ) as command,
    ):
        wait_until(shop.machine.is_up)
        shop.home.run(shop.deploy).mkdir(parents=True, exist_ok=True)
        (shop.home.run(shop.deploy) / "rollouts").mkdir(exist_ok=True)
        (shop.home.run(shop.deploy) / "rollouts" / "v1.json").mkdir()  # how it ended cannot be written: trouble
        shop.release(1, {}, (ProcessType("worker", "sleep 600", settle_s=0.1, grace_s=2.0),))
        shop.ok(1)
        shop.machine.down()
        assert command.wait(DEADLINE_S) == 0
