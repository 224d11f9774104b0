"""Sockets that share an address, and a child that is handed one."""

import os
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import support.without_bpf
from trivet.host import processes, reuseport, spawn

HOSTS = ("127.0.0.1", "0.0.0.0", "::1", "::")
BESIDE = {  # where a packet to the host arrives, too
    "127.0.0.1": ("127.0.0.1", "0.0.0.0", "::"),
    "0.0.0.0": ("0.0.0.0", "127.0.0.1", "::"),
    "::1": ("::1", "::"),
    "::": HOSTS,
}
TELLS = """
import os, socket
shared = socket.socket(fileno=3)
print(os.getpid() == int(os.environ["LISTEN_PID"]), os.environ["LISTEN_FDS"], shared.getsockname()[1], flush=True)
shared.accept()[0].sendall(b"hello")
"""


def _share(host: str, count: int) -> list[socket.socket]:
    """The first is alone on the address when it comes."""
    first = reuseport.listen((host, 0), 64, joins=False)
    reuseport.direct(first, (0,), {})
    reuseport.open_up(first)
    others = [reuseport.listen((host, first.getsockname()[1]), 64, joins=True) for _ in range(count - 1)]
    return [first, *others]


def _knock(listening: socket.socket, bound: socket.socket | None = None) -> socket.socket:
    host, port = listening.getsockname()[:2]
    caller = bound or socket.socket(listening.family)
    caller.settimeout(10)
    caller.connect(({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port))
    return caller


def _counts(sockets: list[socket.socket]) -> list[int]:
    return [reuseport.waiting(each) for each in sockets]


@pytest.mark.parametrize("host", HOSTS)
def test_nobody_listens_beside_a_socket_that_was_not_opened_up(host: str) -> None:
    """Whoever did could attach a program that gives him all connections."""
    alone = reuseport.listen((host, 0), 64, joins=False)
    port = alone.getsockname()[1]
    caller = _knock(alone)
    with alone.accept()[0], alone, caller:
        for other in BESIDE[host]:
            with pytest.raises(OSError, match="Address already in use"):
                reuseport.listen((other, port), 64, joins=True)
        reuseport.open_up(alone)  # a connection from before does not matter
        with reuseport.listen((host, port), 64, joins=True) as joined:
            reuseport.direct(alone, (1,), {})
            with _knock(alone):
                assert _counts([alone, joined]) == [0, 1]


@pytest.mark.parametrize("host", HOSTS)
def test_a_connection_goes_where_it_is_directed_and_one_from_a_source_to_its_own(host: str) -> None:
    sockets = _share(host, 4)
    callers = [_knock(sockets[0]) for _ in range(5)]
    assert _counts(sockets) == [5, 0, 0, 0]
    reuseport.direct(sockets[0], (2,), {})
    callers += [_knock(sockets[0]) for _ in range(5)]
    assert _counts(sockets) == [5, 0, 5, 0]
    known = [socket.socket(sockets[0].family) for _ in range(2)]
    for caller in known:
        caller.bind(("::1" if ":" in host else "127.7.8.9", 0))
    names = [(str(caller.getsockname()[0]), int(caller.getsockname()[1])) for caller in known]
    reuseport.direct(sockets[0], (0,), {names[0]: 3, names[1]: 1})
    callers += [_knock(sockets[0], caller) for caller in known] + [_knock(sockets[0])]
    assert _counts(sockets) == [6, 1, 5, 1]
    reuseport.direct(sockets[0], (1, 2, 3), {names[0]: 0})
    before = _counts(sockets)
    callers += [_knock(sockets[0]) for _ in range(60)]
    spread = Counter({n: after - before[n] for n, after in enumerate(_counts(sockets))})
    assert spread.total() == 60
    assert spread[0] == 0
    assert min(spread[1], spread[2], spread[3]) > 0
    for each in (*callers, *sockets):
        each.close()


def test_the_last_socket_takes_the_place_of_one_that_stops() -> None:
    sockets = _share("127.0.0.1", 4)
    reuseport.stop_listening(sockets[1])
    reuseport.stop_listening(sockets[1])  # a second time is nothing
    assert [reuseport.is_listening(each) for each in sockets] == [True, False, True, True]
    reuseport.direct(sockets[0], (1,), {})
    caller = _knock(sockets[0])
    assert [reuseport.waiting(sockets[n]) for n in (0, 2, 3)] == [0, 0, 1]
    for each in (caller, *sockets):
        each.close()


def test_an_address_is_had_alone_and_a_stranger_on_it_is_seen_and_given_nothing() -> None:
    first, second = _share("127.0.0.1", 2)
    port = int(first.getsockname()[1])
    with pytest.raises(OSError, match="Address already in use"):
        reuseport.listen(("127.0.0.1", port), 64, joins=False)
    assert reuseport.strangers((first, second)) == ()
    stranger = reuseport.listen(("127.0.0.1", port), 64, joins=True)
    assert reuseport.strangers((first, second)) == (str(os.fstat(stranger.fileno()).st_ino),)
    callers = [_knock(first) for _ in range(20)]
    assert _counts([first, second, stranger]) == [20, 0, 0]
    for each in (*callers, first, second, stranger):
        each.close()


def test_no_privilege_is_needed_and_what_forbids_it_is_told() -> None:
    """Whatever `kernel.unprivileged_bpf_disabled` says: that is of eBPF. A filter of system calls refuses it."""
    code = "import os; from trivet.host import reuseport; os.geteuid() or os.setuid(65534); print(reuseport.refusal())"
    ways = ((), (sys.executable, support.without_bpf.__file__))
    told = [
        subprocess.run((*way, sys.executable, "-c", code), capture_output=True, text=True, check=True) for way in ways
    ]
    assert [each.stdout for each in told] == ["None\n", "Operation not permitted\n"]


def test_a_child_is_handed_the_socket_as_descriptor_3_and_told_so(tmp_path: Path) -> None:
    listening = reuseport.listen(("127.0.0.1", 0), 64, joins=False)
    out = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    environment = {"LISTEN_FDS": "1"}
    command = spawn.Command(
        (sys.executable, "-c", TELLS), environment, tmp_path, (null, out, out), listening=listening.fileno()
    )
    child = spawn.spawn(command)
    caller = _knock(listening)
    assert caller.recv(5) == b"hello"
    os.waitid(os.P_PIDFD, child.pidfd, os.WEXITED | os.WNOWAIT)
    assert str(processes.exit_of(child.pidfd)) == "exit 0"
    assert (tmp_path / "out").read_text() == f"True 1 {listening.getsockname()[1]}\n"
    for descriptor in (child.pidfd, child.report, out, null):
        os.close(descriptor)
    for each in (caller, listening):
        each.close()
