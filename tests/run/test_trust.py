"""Nobody who is sealed commands the supervisor or the front door, whatever it passes along; everybody else does."""

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from run.shop import DEADLINE_S, Shop
from trivet.host import processes
from trivet.host.sandbox import Sandbox, Walls
from trivet.host.sockets import connect_unix
from trivet.host.spawn import Command, Confinement, read_failure, spawn
from trivet.model.home import Home
from trivet.run.door import launch as door_launch
from trivet.run.door import link as door_link
from trivet.run.supervisor import launch, link

pytestmark = pytest.mark.skipif(not Sandbox().sealing.is_there, reason="this kernel has no Landlock")

SOCKETS = ("control.sock", "door.sock")
ATTEMPTS = r"""
import os, socket, sys
run, request, own = sys.argv[1:4]

def command(name, descriptors):
    os.chdir(run)
    control = socket.socket(socket.AF_UNIX)
    control.settimeout(10)
    try:
        control.connect(name)
        if descriptors:
            socket.send_fds(control, [request.encode() + b"\n"], descriptors)
        else:
            control.sendall(request.encode() + b"\n")
        return control.recv(65536).decode() or "hung up"
    except OSError as error:
        return f"hung up {error.errno}"

for name in ("control.sock", "door.sock"):
    print(name, "bare", command(name, []), flush=True)
    for mode in (os.O_RDONLY | os.O_NONBLOCK, os.O_PATH, 3 | os.O_NONBLOCK, os.O_RDWR, os.O_WRONLY | os.O_NONBLOCK):
        try:
            key = os.open(run + "/key", mode)
        except OSError as error:
            print(name, mode, "no key", error.errno, flush=True)
        else:
            print(name, mode, command(name, [key]), flush=True)
    os.mkfifo(own + "/key-of-" + name)
    print(name, "own", command(name, [os.open(own + "/key-of-" + name, os.O_RDWR)]), flush=True)
"""


@pytest.fixture
def serving(shop: Shop) -> Shop:
    """A shop that is reached through a front door."""
    shop.shop(1)
    shop.ok(1)
    return shop


@pytest.fixture
def without_privileges(quiet_shop: Shop) -> Shop:
    """The same; whoever started the supervisor, it, and the front door all have `no_new_privs`."""
    _without_privileges(quiet_shop.home, "machine.up()")
    assert "NoNewPrivs:\t1" in Path(f"/proc/{quiet_shop.supervisor_pid()}/status").read_text()
    quiet_shop.shop(1)
    quiet_shop.ok(1)
    return quiet_shop


def _without_privileges(home: Home, code: str) -> str:
    """What this code printed that may do everything but gain privileges, as in a service with NoNewPrivileges."""
    code = (
        "import ctypes, sys; from pathlib import Path; from trivet.model.home import Home; from trivet.run import Machine\n"
        "assert ctypes.CDLL(None).prctl(38, 1, 0, 0, 0) == 0\n"
        f"machine = Machine(Home(Path(sys.argv[1])))\n{code}"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    argv = (sys.executable, "-c", code, str(home.root))
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _attempts(home: Home, own: Path, request: str) -> list[str]:
    """What a sealed process hears that asks this of both sockets in every way."""
    own.mkdir()
    reading, writing = os.pipe2(os.O_CLOEXEC)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    argv = (sys.executable, "-I", "-S", "-c", ATTEMPTS, str(home.supervisor), request, str(own))
    child = spawn(Command(argv, {}, own, (null, writing, writing)), Confinement(Sandbox(), Walls((own,))))
    os.close(writing)
    os.close(null)
    with os.fdopen(reading) as output:
        lines = output.read().splitlines()
    assert read_failure(child.report) is None
    poll = select.poll()
    poll.register(child.pidfd, select.POLLIN)
    assert poll.poll(DEADLINE_S * 1000)
    assert processes.exit_of(child.pidfd).status == 0, lines
    os.close(child.pidfd)
    os.close(child.report)
    return lines


def _door_pid(home: Home) -> int:
    door = door_link.connect(home)
    try:
        return int(door.ask({"do": "status"}).data["pid"])
    finally:
        door.close()


def _check_refused(shop: Shop, own: Path) -> None:
    for request in ('{"do": "down"}', '{"do": "end"}', '{"do": "listeners"}', '{"do": "status"}'):
        lines = _attempts(shop.home, own / request.split('"')[3], request)
        assert len(lines) == 14
        assert [line for line in lines if f" {os.O_RDWR} " in line] == [f"{name} 2 no key 13" for name in SOCKETS]
        assert [line for line in lines if "hung up" not in line and "no key" not in line] == []
    for log in (launch.log_path(shop.home), door_launch.log_path(shop.home)):
        assert "may not command us: it is sealed, or has no key\n" in log.read_text()
    assert shop.fetch().startswith("v1 ")
    assert _door_pid(shop.home) > 0
    assert link.ask(shop.home, {"do": "hello"}, within_s=DEADLINE_S)["pid"] == shop.supervisor_pid()


def test_a_sealed_process_commands_neither_the_supervisor_nor_the_door(serving: Shop, tmp_path: Path) -> None:
    _check_refused(serving, tmp_path)


def test_nor_does_one_where_nobody_may_gain_privileges(without_privileges: Shop, tmp_path: Path) -> None:
    _check_refused(without_privileges, tmp_path)


def test_who_may_not_gain_privileges_may_command_a_supervisor_that_may(serving: Shop) -> None:
    done = _without_privileges(serving.home, "print(len(machine.processes(None)))")
    assert done == "1\n"


def test_the_key_is_for_our_user_only_and_mended_by_the_next_start(serving: Shop) -> None:
    key = serving.home.supervisor / "key"
    assert key.stat().st_mode & 0o777 == 0o600
    serving.kill_supervisor()
    key.chmod(0)  # which Landlock refuses no app
    serving.machine.up()
    assert key.stat().st_mode & 0o777 == 0o600
    assert serving.fetch().startswith("v1 ")


def test_many_who_say_nothing_keep_nobody_out(serving: Shop) -> None:
    paths = [launch.socket_path(serving.home), door_launch.socket_path(serving.home)]
    silent = [connect_unix(path, DEADLINE_S) for path in paths for _ in range(200)]
    try:
        for pid in (serving.supervisor_pid(), _door_pid(serving.home)):
            assert len(list(Path(f"/proc/{pid}/fd").iterdir())) < 100
    finally:
        for connection in silent:
            connection.close()
