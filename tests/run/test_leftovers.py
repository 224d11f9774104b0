"""What a process leaves in its temporary folder is cleared away, whatever it is, and never in anybody's way."""

import fcntl
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from run.shop import DEADLINE_S, PYTHON, Shop, wait_until
from trivet.host import processes
from trivet.model.process import ProcessType
from trivet.run.supervisor import launch

HOSTILE = """
import os, sys
folder = os.environ["TMPDIR"]
os.mkdir(folder + "/deep")
os.chdir(folder + "/deep")
for _ in range(1500):
    os.mkdir("d")
    os.chdir("d")
os.chdir("/")
os.mkdir(folder + "/unreadable")
open(folder + "/unreadable/file", "w").close()
os.chmod(folder + "/unreadable", 0)
os.symlink(os.environ["TRIVET_STORAGE"], folder + "/link")
open(os.environ["TRIVET_STORAGE"] + "/kept", "w").close()
print("made", flush=True)
sys.stdin.readline() if sys.argv[1:] else __import__("signal").pause()
"""

CLIENT = """
import sys
from pathlib import Path
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.run import Machine
sys.exit(Machine(Home(Path(sys.argv[1]))).run_once(Deploy("shop", "production"), 1, (sys.argv[2],), None).status)
"""


def _set_immutable(path: Path, *, on: bool) -> None:
    """As `chattr +i` does it: FS_IOC_SETFLAGS, linux/fs.h."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, 0x40086602, struct.pack("l", 0x10 if on else 0))
    except OSError as error:
        pytest.skip(f"nobody can make a file immutable here: {error.strerror}")
    finally:
        os.close(descriptor)


def _temporary(shop: Shop) -> list[Path]:
    return list(shop.home.temporary.iterdir())


@pytest.fixture
def messy(shop: Shop) -> Shop:
    """A process runs that has made a mess of its temporary folder."""
    shop.release(1, {"w.py": HOSTILE}, (ProcessType("worker", f"{PYTHON} w.py", settle_s=0.1),))
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    wait_until(lambda: "made\n" in shop.log("v1.worker.1"))
    return shop


@pytest.fixture
def fixed(home_folder: Path) -> Iterator[Path]:
    """A left-over folder with a file that nobody can remove."""
    folder = home_folder / "tmp" / "0123456789"
    folder.mkdir(parents=True)
    (folder / "fixed").touch()
    (folder / "file").touch()
    _set_immutable(folder / "fixed", on=True)
    yield folder
    _set_immutable(folder / "fixed", on=False)


@pytest.fixture
def home_folder(quiet_shop: Shop) -> Path:
    return quiet_shop.home.root


def test_any_mess_is_gone_after_its_process(messy: Shop) -> None:
    messy.machine.stop(messy.deploy)
    wait_until(lambda: not _temporary(messy))
    assert (messy.home.storage(messy.deploy) / "kept").exists()


def test_nothing_is_left_when_the_supervisor_is_down(messy: Shop) -> None:
    messy.machine.down()
    assert _temporary(messy) == []


def test_any_mess_that_is_found_at_the_start_keeps_nobody_from_starting(messy: Shop) -> None:
    (status,) = messy.processes()
    messy.kill_supervisor()
    messy.end(status.pid)
    messy.machine.up()
    wait_until(lambda: len(_temporary(messy)) == 1 and messy.processes()[0].pid not in (None, status.pid))


def test_what_cannot_be_removed_is_told_in_the_log_and_all_else_is_removed(quiet_shop: Shop, fixed: Path) -> None:
    other = fixed.with_name("abcdef")
    other.mkdir()
    (other / "file").touch()
    quiet_shop.machine.up()
    wait_until(lambda: str(fixed) in launch.log_path(quiet_shop.home).read_text())
    wait_until(lambda: not other.exists())
    assert list(fixed.iterdir()) == [fixed / "fixed"]
    told = launch.log_path(quiet_shop.home).read_text()
    assert told == f"trivet: {fixed} cannot be removed whole: [Errno 1] Operation not permitted: 'fixed'\n"


DAEMONIZES = """
import os, signal, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print("daemon", os.getpid(), flush=True)
    else:
        os._exit(0)
signal.pause()
"""


def _daemon(shop: Shop) -> int:
    """The pid of the daemon that the worker started last."""
    return int((shop.log("v1.worker.1").rpartition("daemon ")[2].split() or "0")[0])


@pytest.fixture
def haunted(shop: Shop) -> Shop:
    """A process has started a daemon, which left its session and its parent."""
    shop.worker(1, DAEMONIZES)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    wait_until(lambda: "daemon" in shop.log("v1.worker.1"))
    return shop


def test_nothing_of_an_app_survives_its_stop(haunted: Shop) -> None:
    haunted.machine.stop(haunted.deploy)
    wait_until(lambda: processes.start_time(_daemon(haunted)) is None)


def test_nothing_of_an_app_survives_the_supervisors_end(haunted: Shop) -> None:
    haunted.machine.down()
    assert processes.start_time(_daemon(haunted)) is None


def test_what_a_crashed_process_had_started_ends_and_that_of_its_successor_stays(haunted: Shop) -> None:
    daemon = _daemon(haunted)
    haunted.end(haunted.pids()["v1.worker.1"])
    wait_until(lambda: processes.start_time(daemon) is None)
    wait_until(lambda: _daemon(haunted) != daemon)
    assert processes.start_time(_daemon(haunted)) is not None


def _client(shop: Shop, command: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        (sys.executable, "-c", CLIENT, str(shop.home.root), command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    )


def test_any_mess_is_gone_after_a_one_off(quiet_shop: Shop) -> None:
    quiet_shop.release(1, {"w.py": HOSTILE}, {"worker": "sleep 600"})
    with _client(quiet_shop, f"{PYTHON} w.py waits") as client:
        out, err = client.communicate("\n", timeout=DEADLINE_S)
    assert (client.returncode, out, err) == (0, "made\n", "")
    assert _temporary(quiet_shop) == []


def test_a_one_off_whose_mess_cannot_be_removed_says_so_and_keeps_its_status(quiet_shop: Shop) -> None:
    quiet_shop.release(1, {}, {"worker": "sleep 600"})
    with _client(quiet_shop, "touch $TMPDIR/fixed; echo $TMPDIR; read x; exit 7") as client:
        assert client.stdout is not None
        folder = Path(client.stdout.readline().strip())
        _set_immutable(folder / "fixed", on=True)
        try:
            _, err = client.communicate("\n", timeout=DEADLINE_S)
        finally:
            _set_immutable(folder / "fixed", on=False)
    assert client.returncode == 7
    assert err == f"trivet: {folder} cannot be removed whole: [Errno 1] Operation not permitted: 'fixed'\n"


def test_a_process_that_cannot_be_started_leaves_no_temporary_folder(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    before = _temporary(shop)
    shop.shop(2)
    (shop.home.run(shop.deploy) / "logs" / "v2.web.1.log").mkdir()  # where its log should be
    roll_out = shop.roll_out(2)
    assert (roll_out.succeeded, roll_out.reason) == (False, "the machine refused: Is a directory")
    wait_until(lambda: _temporary(shop) == before)
    assert shop.fetch().startswith("v1 ")
