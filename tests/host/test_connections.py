"""Connections as the kernel tells of them."""

import os
import socket
import time

import pytest

from support.command import eventually
from trivet.host.connections import UNACCEPTED, Connection, connections_of

HOSTS = ("127.0.0.1", "::1", "::")


def _inode(connection: socket.socket) -> str:
    return str(os.fstat(connection.fileno()).st_ino)


@pytest.mark.parametrize("host", HOSTS)
def test_who_has_a_connection_what_waits_in_it_and_when_it_was_sent_to_is_told(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, 0), family=family, dualstack_ipv6=host == "::")
    port = listening.getsockname()[1]
    assert connections_of(port) == ()
    near = "127.0.0.1" if host == "::" else host
    with socket.create_connection((near, port), timeout=60) as caller:
        caller.sendall(b"hello")
        peer = caller.getsockname()[1]
        eventually(lambda: connections_of(port) == (Connection(peer, UNACCEPTED, 5, None),))
        accepted, _ = listening.accept()
        assert connections_of(port) == (Connection(peer, _inode(accepted), 5, None),)
        assert accepted.recv(5) == b"hello"
        began = time.monotonic()
        accepted.sendall(b"answer")
        assert caller.recv(6) == b"answer"
        (told,) = connections_of(port)
        assert told.unread_bytes == 0
        assert told.sent_s is not None
        assert told.sent_s <= time.monotonic() - began + 0.02  # the kernel counts in ticks
        caller.shutdown(socket.SHUT_WR)
        assert accepted.recv(1) == b""
        assert [each.inode for each in connections_of(port)] == [_inode(accepted)]  # half of it is still open
        accepted.close()
    listening.close()
    eventually(lambda: connections_of(port) == ())


def test_of_many_connections_those_of_the_port_are_told() -> None:
    one, other = (socket.create_server(("127.0.0.1", 0), backlog=512) for _ in range(2))
    callers = [socket.create_connection(one.getsockname()) for _ in range(300)]
    callers.append(socket.create_connection(other.getsockname()))
    eventually(lambda: len(connections_of(one.getsockname()[1])) == 300)
    assert [each.peer_port for each in connections_of(other.getsockname()[1])] == [callers[-1].getsockname()[1]]
    for each in (*callers, one, other):
        each.close()
