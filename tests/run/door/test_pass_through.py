"""What passes through the door with real libraries and real sizes, and what is sent to an app again."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect as connect_websocket
from websockets.sync.server import Server, ServerConnection
from websockets.sync.server import serve as serve_websocket
from websockets.typing import Subprotocol

from support.door import FrontDoor
from support.wire import DEADLINE_S, OK, Backend, connect, exchange, read_all, read_answer, read_exactly, read_until

Serve = Callable[..., Backend]
MIB = 1 << 20


@pytest.fixture
def echo() -> Iterator[Server]:
    """A WebSocket app that sends back what it gets, until it gets "bye"."""

    def handle(connection: ServerConnection) -> None:
        for message in connection:
            if message == "bye":
                connection.close(4001, "so long")
            else:
                connection.send(message)

    with serve_websocket(handle, "127.0.0.1", 0, max_size=None, subprotocols=[Subprotocol("chat")]) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join(DEADLINE_S)


def test_a_websocket_library_speaks_through_the_door(door: FrontDoor, echo: Server) -> None:
    """Compressed, in pieces, both kinds of messages, pings, an application's close code."""
    door.route(echo.socket.getsockname()[1])
    host, port = door.address
    with connect_websocket(f"ws://{host}:{port}/chat?a=b", subprotocols=[Subprotocol("chat")], max_size=None) as client:
        assert client.subprotocol == "chat"
        assert client.protocol.extensions, "the compression that both offer was not agreed on"
        assert client.ping().wait(DEADLINE_S)
        for message in ("hello", "ä" * 70000, b"\0\xff" * MIB, ""):
            client.send(message)
            assert client.recv(DEADLINE_S) == message
        client.send(iter(["in ", "three ", "pieces"]))
        assert client.recv(DEADLINE_S) == "in three pieces"
        assert door.in_flight() == 1
        client.send("bye")
        with pytest.raises(ConnectionClosedError) as caught:
            client.recv(DEADLINE_S)
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4001, "so long")


@pytest.mark.parametrize("protocol", [b"tcp", b"websocket", b"example/2"])
@pytest.mark.parametrize("first", ["client", "app"])
def test_any_switch_becomes_two_streams_that_end_one_by_one(
    door: FrontDoor, serve: Serve, protocol: bytes, first: str
) -> None:
    is_over = threading.Event()

    def handle(connection: socket.socket) -> None:
        head = read_until(connection, b"\r\n\r\n")
        assert b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\n" in head
        connection.sendall(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n" % protocol)
        if first == "app":
            connection.sendall(b"from the app")
            connection.shutdown(socket.SHUT_WR)
            assert read_all(connection) == b"from the client"
        else:
            assert read_all(connection) == b"from the client"
            connection.sendall(b"from the app")
        is_over.set()

    door.route(serve(handle).port)
    with connect(door.address) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: %s\r\n\r\n" % protocol)
        assert read_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        if first == "app":
            assert read_all(client) == b"from the app"
        client.sendall(b"from the client")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == (b"" if first == "app" else b"from the app")
    assert is_over.wait(DEADLINE_S)


def _peak_bytes(pid: int) -> int:
    """The most memory that the process has had resident so far."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.slow
def test_a_chunked_upload_of_a_gigabyte_needs_no_memory(door: FrontDoor, serve: Serve) -> None:
    block = bytes(range(256)) * (MIB // 256)
    chunk, chunks = b"%x\r\n%s\r\n" % (MIB, block), 1024
    size = len(chunk) * chunks + len(b"0\r\n\r\n")

    def handle(connection: socket.socket) -> None:
        assert b"Transfer-Encoding: chunked\r\n" in read_until(connection, b"\r\n\r\n")
        buffer, taken, last = bytearray(MIB), 0, b""
        while taken < size:
            count = connection.recv_into(buffer)
            assert count, f"closed after {taken} bytes"
            taken, last = taken + count, bytes(buffer[max(count - 5, 0) : count])
        connection.sendall(OK if last.endswith(b"\r\n\r\n") else b"")

    door.route(serve(handle).port)
    before = _peak_bytes(door.pid)
    with connect(door.address) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(chunks):
            client.sendall(chunk)
        client.sendall(b"0\r\n\r\n")
        assert read_answer(client)[1] == b"ok"
    assert _peak_bytes(door.pid) - before < 4 * MIB


SENT_AGAIN = (b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE")
SENT_ONCE = (b"POST", b"PATCH", b"LINK", b"get")


class Dying:
    """An app whose process takes the first request with it, after this much of an answer; the next ones are answered."""

    def __init__(self, last_words: bytes) -> None:
        self.last_words = last_words
        self.seen = 0

    def __call__(self, connection: socket.socket) -> None:
        head = read_until(connection, b"\r\n\r\n")
        if b"Content-Length: 3\r\n" in head:
            read_exactly(connection, 3)
        self.seen += 1
        connection.sendall(self.last_words if self.seen == 1 else OK if b"HEAD" not in head else OK[:-2])


@pytest.mark.parametrize("method", SENT_AGAIN + SENT_ONCE)
def test_only_what_may_be_done_twice_is_sent_twice(door: FrontDoor, serve: Serve, method: bytes) -> None:
    """And that only before a byte of an answer has come; with a small body or none."""
    for last_words in (b"", b"H", b"HTTP/1.1 200 OK\r\n", OK[:-1]):
        for body in (b"", b"abc"):
            dying = Dying(last_words)
            door.route(serve(dying).port)
            length = b"Content-Length: %d\r\n" % len(body) if body else b""
            head = b"%s / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n" % (method, length)
            answer = exchange(door.address, head + body)
            again = method in SENT_AGAIN and not last_words
            whole = again or (method == b"HEAD" and last_words == OK[:-1])
            assert dying.seen == (2 if again else 1), (last_words, body)
            assert answer.startswith(b"HTTP/1.1 200 " if whole or last_words == OK[:-1] else b"HTTP/1.1 502 "), (
                last_words
            )
            assert answer.endswith(b"\r\n\r\nok") == (again and method != b"HEAD"), (last_words, body)
