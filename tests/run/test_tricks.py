"""What a hostile app may well do to itself, its log and its sockets holds up neither the supervisor nor anybody else's app."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from run.shop import PATIENCE_S, PYTHON, WEB, Shop, free_port, wait_until
from trivet.host import processes
from trivet.model.home import Home
from trivet.model.logs import LogChoice
from trivet.model.names import AppName, Deploy, DeployName
from trivet.model.process import ProcessType
from trivet.model.run import ProcessState
from trivet.run import Machine, log_index
from trivet.run.enclosure import Place
from trivet.run.log_files import cut_log, last_lines, last_words
from trivet.run.supervisor.output import Output

# prctl(2), PR_SET_MM_MAP: all of a large piece of memory, never touched, is what it was started with.
VAST = r"""
import ctypes, os, signal, struct
size = 1 << 28
libc = ctypes.CDLL(None, use_errno=True)
for call in (libc.mmap, libc.sbrk):
    call.restype = ctypes.c_void_p
libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long)
at = libc.mmap(None, size, 3, 0x4022, -1, 0)
fields = open("/proc/self/stat").read().rpartition(")")[2].split()
of = lambda *numbers: [int(fields[number - 3]) for number in numbers]  # as proc_pid_stat(5) counts them
places = (*of(26, 27, 45, 46), *of(47), libc.sbrk(0), *of(28), at, at + size, at, at + size)
map = ctypes.create_string_buffer(struct.pack("=11QQII", *places, 0, 0, 0xFFFFFFFF))
done = libc.prctl(35, 14, ctypes.byref(map), ctypes.c_ulong(len(map) - 1), ctypes.c_ulong(0))
print("vast" if done == 0 else os.strerror(ctypes.get_errno()), flush=True)
signal.pause()
"""
LEASE = """
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
log = os.open(sys.argv[1], os.O_WRONLY)
fcntl.fcntl(log, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("leased", flush=True)
signal.pause()
"""
# A process of its own session that says it is another app's, and serves in its place where it is believed.
FORGED = r"""
import os, signal, sys
own, port = os.environ, os.environ["OTHER_PORT"]
told = {name: own[name] for name in ("TRIVET_DEPLOY", "TRIVET_RELEASE")}
told |= {"TRIVET_APP": "blog", "TRIVET_PROCESS": "web.1", "PORT": port, "TMPDIR": own["TMPDIR"] + "forged"}
if os.fork() == 0:
    os.setsid()
    os.execve(sys.executable, [sys.executable, "-S", "-u", "-c", own["SERVER"]], told)
signal.pause()
"""
FAR = 1 << 42


def _most_memory_kb(pid: int) -> int:
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert found is not None
    return int(found[1])


def test_a_process_that_calls_all_its_memory_its_environment_takes_none_of_ours(shop: Shop) -> None:
    shop.worker(1, VAST)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    wait_until(lambda: shop.log("v1.worker.1"))
    if shop.log("v1.worker.1") != "vast\n":
        pytest.skip(f"this kernel does not let a process say where its memory is: {shop.log('v1.worker.1')}")
    pid, supervisor = shop.pids()["v1.worker.1"] or 0, shop.supervisor_pid()
    assert len(processes.environment(pid)) < 8 << 20
    assert len(processes.command_line(pid)) < 1 << 16
    other = shop.beside("blog")
    other.shop(1)
    other.ok(1)  # after a roll-out the supervisor looks through all processes of the machine
    assert _most_memory_kb(supervisor) < 64 << 10
    shop.kill_supervisor()
    shop.machine.up()
    assert shop.pids() == {"v1.worker.1": pid}
    assert _most_memory_kb(shop.supervisor_pid()) < 64 << 10


def test_a_socket_whose_name_looks_like_a_line_of_the_kernels_hides_no_other(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_PATH | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX) as serving, socket.socket(socket.AF_UNIX) as hostile:
            path = f"/proc/self/fd/{folder}/s"
            serving.bind(path)
            serving.listen()
            hostile.bind(f"\0\n0 0 0 zz 0 0 0 {path}".encode())
            assert processes.socket_listener([os.getpid()], path) == os.getpid()
            assert processes.socket_listener([os.getpid()], f"{path}2") is None
    finally:
        os.close(folder)


def test_nobody_waits_for_a_log_that_its_writer_has_a_lease_on(tmp_path: Path) -> None:
    log = tmp_path / "v1.web.1.log"
    log.write_text("before\n" * 20_000)
    log_index.append(log, log.stat().st_size)
    argv = (sys.executable, "-c", LEASE, str(log))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "leased\n"
            output = Output(log)
            with pytest.raises(BlockingIOError):
                output.open(Place(None, tmp_path, (), ()))
            output.tell("trivet: told\n")  # nobody is told, nor waits
            with pytest.raises(BlockingIOError):
                cut_log(log, 70_000)
            assert last_words(log, 0) == last_lines(log, 5) == ()
        finally:
            writer.kill()
    output.tell("trivet: told\n")
    assert last_lines(log, 2) == ("before", "trivet: told")


def test_a_log_that_was_made_terabytes_long_is_read_as_what_is_in_it(home: Home) -> None:
    deploy = Deploy(AppName("shop"), DeployName("production"))
    log = home.run(deploy) / "logs" / "v1.web.1.log"
    log.parent.mkdir(parents=True)
    log.write_text("one\ntwo")
    descriptor = os.open(log, os.O_WRONLY)
    try:
        os.pwrite(descriptor, b"\nthree\n", FAR)
        os.pwrite(descriptor, b"four\n", 2 * FAR + 4096)
        os.truncate(descriptor, 3 * FAR)
        os.pwrite(descriptor, b"five\n", 3 * FAR)
    except OSError as error:
        pytest.skip(f"this file system has no files of that size: {error.strerror}")
    finally:
        os.close(descriptor)
    for choice in (LogChoice(lines=None), LogChoice(lines=9)):
        lines = Machine(home).logs(deploy, choice, follow=False)
        assert [text for line in lines if (text := line.text.strip("\0"))] == ["one", "two", "three", "four", "five"]
    assert cut_log(log, FAR + 3)
    lines = Machine(home).logs(deploy, LogChoice(lines=None), follow=False)
    assert [text for line in lines if (text := line.text.strip("\0"))] == ["four", "five"]


def test_nobody_takes_the_port_of_a_process_that_waits_for_its_next_start(shop: Shop) -> None:
    """The front door sends requests there."""
    wrong = shop.home.storage(shop.deploy) / "wrong"
    shop.web(1, f"import os, sys\nif os.path.exists({str(wrong)!r}): sys.exit(3)\n{WEB}")
    shop.ok(1)
    wrong.touch()
    (web,) = shop.processes("web.1")
    shop.fetch()  # a connection that the port remembers
    shop.end(web.pid)
    wait_until(lambda: (now := shop.processes("web.1")[0]).restarts >= 6 and now.state is ProcessState.BACKOFF)
    for host in ("127.0.0.1", "0.0.0.0"):
        with pytest.raises(OSError, match="Address already in use"):
            socket.create_server((host, web.port)).close()
    assert shop.processes("web.1")[0].port == web.port
    wrong.unlink()
    wait_until(lambda: shop.get()[0] == 200)
    assert shop.processes("web.1")[0].port == web.port


@pytest.mark.skipif(os.geteuid() != 0, reason="apps are users of their own only where Trivet is root; CI runs as root")
def test_a_process_that_says_it_is_another_apps_is_not_taken_for_it(shop: Shop) -> None:
    other = shop.beside("blog")
    other.shop(1)
    other.ok(1)
    config = {"SERVER": WEB.replace("os.environ[", "'forged' + os.environ[", 1), "OTHER_PORT": str(free_port())}
    kind = ProcessType("worker", f"{PYTHON} w.py", settle_s=0.1, grace_s=PATIENCE_S)
    shop.release(1, {"w.py": FORGED}, (kind,), config=config)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    wait_until(lambda: "serving" in shop.log("v1.worker.1"))
    (web,) = other.processes("web.1")
    shop.kill_supervisor()
    other.end(web.pid)
    shop.machine.up()
    wait_until(lambda: other.get()[0] == 200)
    assert other.fetch().startswith("v1 ")
    told = (shop.home.supervisor / "supervisor.log").read_text()
    assert "had lost its file" not in told
    assert shop.processes("worker.1")[0].restarts == 0  # it is shop's own, and goes on
