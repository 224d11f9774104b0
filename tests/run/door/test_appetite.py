"""What clients can make the door spend: its memory is that of what is under way, whatever they send."""

import contextlib
import os
import socket
from collections.abc import Callable
from itertools import pairwise

import pytest

from support.door import FrontDoor
from support.wire import OK, Backend, connect, length_of, read_answer

Serve = Callable[..., Backend]

MIB = 1 << 20
HOST = b" / HTTP/1.1\r\nHost: shop\r\n"


def _answer(connection: socket.socket) -> None:
    """Every request, also a large one, is read quickly and answered."""
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            data += (piece := connection.recv(262144))
            if not piece:
                return
        head, _, data = data.partition(b"\r\n\r\n")
        while len(data) < length_of(head):
            data += connection.recv(262144)
        data = data[length_of(head) :]
        connection.sendall(OK)


def _random_names(count: int) -> bytes:
    return b",".join(os.urandom(4).hex().encode() for _ in range(count))


NEVER_THE_SAME = {
    "names in Connection": lambda: b"GET" + HOST + b"Connection: " + _random_names(7000) + b"\r\n\r\n",
    "a name in Connection": lambda: b"GET" + HOST + b"Connection: " + os.urandom(30000).hex().encode() + b"\r\n\r\n",
    "a method": lambda: os.urandom(32000).hex().encode() + HOST + b"\r\n",
    "a target": lambda: b"GET /" + os.urandom(32000).hex().encode() + HOST[2:] + b"\r\n",
    "a cookie": lambda: b"GET" + HOST + b"Cookie: " + os.urandom(32000).hex().encode() + b"\r\n\r\n",
}


@pytest.mark.parametrize("make", NEVER_THE_SAME.values(), ids=NEVER_THE_SAME.keys())
def test_heads_that_are_large_and_never_the_same_leave_nothing(
    door: FrontDoor, serve: Serve, make: Callable[[], bytes]
) -> None:
    door.route(serve(_answer).port)
    with connect(door.address) as client:
        sizes = []
        for _ in range(4):
            for _ in range(75):
                client.sendall(make())
                assert read_answer(client)[1] == b"ok"
            sizes.append(door.memory_bytes())
    assert sizes[-1] - sizes[0] < 4 * MIB, [after - before for before, after in pairwise(sizes)]


REQUESTS = {
    "a large head": b"GET" + HOST + b"Cookie: " + b"x" * 64000 + b"\r\n\r\n",
    "a large body": b"PUT" + HOST + b"Content-Length: 90000\r\n\r\n" + b"x" * 90000,
}


@pytest.mark.parametrize("request_sent", REQUESTS.values(), ids=REQUESTS.keys())
def test_a_connection_at_rest_keeps_nothing_of_its_last_request(
    door: FrontDoor, serve: Serve, request_sent: bytes
) -> None:
    door.route(serve(_answer).port)
    with contextlib.ExitStack() as connections:
        sizes = []
        for _ in range(2):
            for _ in range(150):
                client = connections.enter_context(connect(door.address))
                client.sendall(request_sent)
                assert read_answer(client)[1] == b"ok"
            sizes.append(door.memory_bytes())
    assert sizes[1] - sizes[0] < 3 * MIB
