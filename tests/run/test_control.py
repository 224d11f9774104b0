"""The control socket when it goes badly: no descriptors left, clients that say nothing or nonsense."""

import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from run.shop import DEADLINE_S, Shop
from support.processor import wait_for_rest
from trivet.host.key import take_key
from trivet.host.sockets import connect_unix, receive, send_line
from trivet.run.supervisor import control, launch


def _open_descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _is_silent(connection: socket.socket, for_s: float) -> bool:
    connection.settimeout(for_s)
    try:
        receive(connection)
    except TimeoutError:
        return True
    return False


@pytest.fixture
def exhausted(shop: Shop) -> Iterator[int]:
    """The supervisor's pid; it may open two more descriptors, as many as a client needs, until the test is over."""
    pid = shop.supervisor_pid()
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir())
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 3, before[1]))
    yield pid
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_a_supervisor_without_descriptors_waits_and_does_not_spin(shop: Shop, exhausted: int) -> None:
    held = []
    log = launch.log_path(shop.home)
    while not (log.exists() and "no client can be let in" in log.read_text()):
        held.append(connect_unix(launch.socket_path(shop.home), DEADLINE_S))
        assert len(held) < 20
        assert _is_silent(held[-1], 0.2)
    wait_for_rest(exhausted, for_s=1.0, at_most_ns=300_000_000)
    told = [line for line in log.read_text().splitlines() if "no client" in line]
    assert set(told) == {"trivet: no client can be let in: Too many open files; trying again"}
    assert len(told) <= len(held)  # again only after one that said nothing was hung up on, and another could come in
    for connection in held:
        connection.close()
    assert shop.supervisor_pid() == exhausted


@pytest.mark.slow
def test_a_client_that_says_nothing_is_hung_up_on(shop: Shop) -> None:
    with connect_unix(launch.socket_path(shop.home), control.ASKS_WITHIN_S + DEADLINE_S) as connection:
        assert receive(connection) == (b"", ())


@pytest.mark.parametrize("nonsense", [b"{", b"[1]", b"[" * 60000, b"\xff", b'"hello"', b'{"do": []}'])
def test_nonsense_is_hung_up_on_or_refused_at_once(shop: Shop, nonsense: bytes) -> None:
    pid = shop.supervisor_pid()
    with connect_unix(launch.socket_path(shop.home), DEADLINE_S) as connection:
        key = take_key(shop.home.supervisor)
        send_line(connection, nonsense, (key,))
        os.close(key)
        assert b'"ok": true' not in receive(connection)[0]
    assert shop.supervisor_pid() == pid
    assert "Traceback" not in launch.log_path(shop.home).read_text()
