"""One-offs: attached to whoever started them, in a release's environment, behind its walls."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from run.shop import DEADLINE_S, PYTHON, WORKER, Shop, wait_until
from trivet.errors import RunError, UnknownRelease
from trivet.host import processes
from trivet.host.cgroups import Cgroups, find_means
from trivet.model.output import Part
from trivet.model.process import Limits, ProcessType
from trivet.run import Call

CLIENT = """
import sys
from pathlib import Path
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.run import Machine
home, command = Path(sys.argv[1]), tuple(sys.argv[2:])
sys.exit(Machine(Home(home)).run_once(Deploy("shop", "production"), 1, command, None).status)
"""

RELEASE_CLIENT = """
import sys
from pathlib import Path
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.output import Part
from trivet.run import Call, Machine
machine = Machine(Home(Path(sys.argv[1])))
ran = machine.run_part(Deploy("shop", "production"), 1, Call(Part.RELEASE), lambda line: print(line, flush=True))
sys.exit(ran.output.status)
"""


def _client(shop: Shop, *command: str, code: str = CLIENT) -> "subprocess.Popen[str]":
    kept = {name: os.environ[name] for name in ("PATH", "TRIVET_ALLOW_MUTABLE") if name in os.environ}
    return subprocess.Popen(
        (sys.executable, "-c", code, str(shop.home.root), *command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "src"), "SECRET": "mine", **kept},
    )


def _run(shop: Shop, *command: str, text: str = "") -> tuple[int, str, str]:
    with _client(shop, *command) as client:
        out, err = client.communicate(text, timeout=DEADLINE_S)
    return client.returncode, out, err


@pytest.fixture
def released(quiet_shop: Shop) -> Shop:
    """A deploy with one release, nothing of which runs."""
    shop = quiet_shop
    shop.release(1, {"w.py": WORKER, "data": "42\n"}, {"worker": "sleep 600"}, config={"GREETING": "hello"})
    return shop


def test_a_one_off_has_our_standard_files_and_the_releases_environment_and_folder(released: Shop) -> None:
    line = "cat; cat data; echo $GREETING $TRIVET_RELEASE [$SECRET] [$PORT]; echo trouble >&2"
    assert _run(released, line, text="typed\n") == (0, "typed\n42\nhello v1 [] []\n", "trouble\n")


def test_several_words_are_a_program_and_its_arguments(released: Shop) -> None:
    assert _run(released, "printf", "%s|", "a b", "$HOME", "*") == (0, "a b|$HOME|*|", "")


@pytest.mark.parametrize(
    ("command", "status"),
    [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -9 $$", 137), ("no-such-program", 127)],
)
def test_the_exit_status_is_handed_on(released: Shop, command: str, status: int) -> None:
    assert _run(released, command)[0] == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_passed_on(released: Shop, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo got {name}; exit 3' {name}; echo ready; while :; do sleep 0.05; done"
    with _client(released, script) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "ready\n"
        client.send_signal(number)
        out, _ = client.communicate(timeout=DEADLINE_S)
    assert (client.returncode, out) == (3, f"got {name}\n")


def test_all_that_a_one_off_has_started_ends_with_it(released: Shop) -> None:
    status, out, _ = _run(released, "sleep 600 >/dev/null 2>&1 & echo $!; exit 4")
    assert status == 4
    wait_until(lambda: processes.start_time(int(out)) is None)


DAEMON = """
import os, signal, sys
reading, writing = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        sys.stdout.flush()
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        os.dup2(1, 2)
        os.environ.clear()
        os.write(writing, str(os.getpid()).encode())
        os.close(writing)
        os.execve(sys.executable, (sys.executable, "-S", "-c", "import signal; signal.pause()"), KEPT)
    os._exit(0)
os.close(writing)
print(os.read(reading, 20).decode(), flush=True)
"""


@pytest.mark.parametrize("kept", ["{}", "dict(os.environb)"], ids=["without its environment", "with it"])
def test_a_daemon_that_a_one_off_has_started_ends_with_it(released: Shop, kept: str) -> None:
    script = DAEMON.replace("os.environ.clear()", f"KEPT = {kept}")
    status, out, err = _run(released, sys.executable, "-S", "-c", script)
    assert (status, err) == (0, "")
    assert processes.start_time(int(out)) is None


def test_a_daemon_of_the_release_command_ends_with_it(quiet_shop: Shop) -> None:
    script = DAEMON.replace("os.environ.clear()", "KEPT = {}")
    kind = ProcessType("release", f"{sys.executable} -S release.py")
    quiet_shop.release(1, {"release.py": script}, (kind,))
    ran = quiet_shop.machine.run_part(quiet_shop.deploy, 1, Call(Part.RELEASE), lambda _: None)
    assert ran is not None
    assert ran.output.is_good
    assert processes.start_time(int(ran.last[-1])) is None


def test_what_a_one_off_of_a_killed_client_has_started_is_ended_by_the_next_supervisor(released: Shop) -> None:
    with _client(released, "setsid sleep 600 >/dev/null 2>&1 & echo $!; wait") as client:
        assert client.stdout is not None
        pid = int(client.stdout.readline())
        client.kill()
    released.machine.up()
    wait_until(lambda: processes.start_time(pid) is None and not list(released.home.temporary.iterdir()))


def test_a_one_off_whose_client_is_killed_ends_too(released: Shop) -> None:
    with _client(released, "echo $$; sleep 600") as client:
        assert client.stdout is not None
        pid = int(client.stdout.readline())
        client.kill()
        wait_until(lambda: processes.start_time(pid) is None)
    released.machine.up()  # ends what the shell has started, which nobody was there to end


def test_a_one_off_leaves_no_temporary_folder(released: Shop) -> None:
    status, out, _ = _run(released, "touch $TMPDIR/x; echo $TMPDIR")
    assert status == 0
    assert not Path(out.strip()).exists()


def test_the_folder_of_a_killed_client_is_removed_by_the_next_supervisor(released: Shop) -> None:
    with _client(released, "touch $TMPDIR/x; echo ready; sleep 600") as client:
        assert client.stdout is not None
        client.stdout.readline()
        client.kill()
    assert len(list(released.home.temporary.iterdir())) == 1
    released.machine.up()
    wait_until(lambda: list(released.home.temporary.iterdir()) == [])


def test_the_folder_of_a_living_one_off_is_left_alone_by_a_new_supervisor(released: Shop) -> None:
    with _client(released, "echo ready; read x; ls -d $TMPDIR") as client:
        assert client.stdout is not None
        client.stdout.readline()
        released.machine.up()
        out, err = client.communicate("\n", timeout=DEADLINE_S)
    assert (out.count("run-"), err) == (1, "")


def test_a_one_off_in_a_group_of_its_own_is_left_alone_by_a_new_supervisor(quiet_shop: Shop) -> None:
    """It clears away the groups of all that is not its own."""
    kind = ProcessType("release", "echo ready; read x < $TRIVET_STORAGE/go; echo done", limits=Limits(processes=9))
    quiet_shop.release(1, {}, (kind, ProcessType("worker", f"{PYTHON} worker.py")))
    quiet_shop.home.storage(quiet_shop.deploy).mkdir(parents=True)
    gate = quiet_shop.home.storage(quiet_shop.deploy) / "go"
    os.mkfifo(gate)
    with gate.open("r+b", buffering=0) as opened, _client(quiet_shop, code=RELEASE_CLIENT) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "ready\n"
        groups = {group.folders[0].rpartition("/")[2] for _, group in Cgroups(quiet_shop.home.root).find_others(())}
        quiet_shop.machine.up()
        quiet_shop.machine.down()  # and what it clears away is gone
        opened.write(b"go\n")
        out, err = client.communicate(timeout=DEADLINE_S)
    assert (client.returncode, out, err) == (0, "done\n", "")
    assert len(groups) == ("pids" in find_means().controllers)
    assert list(Cgroups(quiet_shop.home.root).find_others(())) == []


def _on_a_terminal(shop: Shop, code: str) -> tuple[int, int]:
    """Pid of a client that runs this Python as a one-off, and the terminal that it has."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(PYTHONPATH=str(Path(__file__).parents[2] / "src"), TERM="vt100")
        root = str(shop.home.root)
        os.execv(sys.executable, (sys.executable, "-c", CLIENT, root, sys.executable, "-S", "-c", code))
    return pid, terminal


def test_a_one_off_types_nothing_for_the_shell_behind_it(released: Shop) -> None:
    """Its terminal stays ours when it has ended: what it pushed into the input would be a command line."""
    code = (
        "import fcntl, os, termios\n"
        "for request, argument in ((termios.TIOCSTI, b'#'), (0x541C, b'\\x03')):\n"
        "    try: fcntl.ioctl(0, request, argument); print('typed', flush=True)\n"
        "    except OSError as error: print(error.strerror, flush=True)\n"
        "print(open('/dev/tty', 'w').write('told\\n'), termios.tcgetattr(0)[6][0], flush=True)\n"
    )
    pid, terminal = _on_a_terminal(released, code)
    seen = _read_until(terminal, b"5 ")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert seen.count(b"Operation not permitted") == 2
    assert b"told" in seen
    assert b"typed" not in seen


def test_a_one_off_has_our_terminal_and_ctrl_c_reaches_it_once(released: Shop) -> None:
    code = (
        "import os, signal, sys, time\ncount = 0\n"
        "def on_interrupt(*_):\n    global count\n    count += 1\n"
        "signal.signal(signal.SIGINT, on_interrupt)\n"
        "print(os.isatty(0), os.isatty(1), os.environ.get('TERM'), flush=True)\n"
        "while not count: time.sleep(0.01)\ntime.sleep(0.2)\n"
        "print('interrupts', count, flush=True)\nsys.exit(9)"
    )
    pid, terminal = _on_a_terminal(released, code)
    _read_until(terminal, b"True True vt100")
    os.write(terminal, b"\x03")
    _read_until(terminal, b"interrupts 1")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 9


def test_a_one_off_of_a_release_that_is_not_there_is_refused(released: Shop) -> None:
    with pytest.raises(UnknownRelease, match="has no release v9"):
        released.machine.run_once(released.deploy, 9, ("true",), None)


def test_a_one_off_whose_folder_is_gone_is_refused(released: Shop) -> None:
    build = released.home.bundle(released.deploy.app, f"{1:012x}")
    build.rename(build.with_name("moved"))
    with pytest.raises(RunError) as raised:
        released.machine.run_once(released.deploy, 1, ("true",), None)
    assert raised.value.message == (f"The build 000000000001 of v1 is not on this machine: {build / 'app'} is missing.")
    assert raised.value.hint == "Deploy its commit again: trivet deploy cccccccc"


def _releasing(shop: Shop, code: str) -> Shop:
    shop.release(1, {"r.py": code}, (ProcessType("release", f"{PYTHON} r.py"), ProcessType("worker", "sleep 600")))
    return shop


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_release_command_does_not_outlive_its_client(quiet_shop: Shop, number: signal.Signals) -> None:
    _releasing(quiet_shop, "import os, time\nprint(os.getpid())\ntime.sleep(600)")
    with _client(quiet_shop, code=RELEASE_CLIENT) as client:
        assert client.stdout is not None
        pid = int(client.stdout.readline())
        client.send_signal(number)
        client.communicate(timeout=DEADLINE_S)
    wait_until(lambda: processes.start_time(pid) is None)


def _read_until(terminal: int, wanted: bytes) -> bytes:
    deadline, seen = time.monotonic() + DEADLINE_S, b""
    while wanted not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, seen
        seen += os.read(terminal, 4096)
    return seen
