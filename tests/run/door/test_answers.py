"""What a backend may answer, what the client then gets, and what is refused with 502."""

import socket
import threading
from collections.abc import Callable

import pytest

from support.door import FrontDoor
from support.wire import DEADLINE_S, Backend, connect, exchange, read_all, read_answer, read_until

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
GET_CLOSE = b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
CLOSING = b"Connection: close\r\n\r\n"

Serve = Callable[..., Backend]


def answering(answer: bytes) -> Callable[[socket.socket], None]:
    """Answers one request with these bytes, and closes."""

    def handle(connection: socket.socket) -> None:
        read_until(connection, b"\r\n\r\n")
        connection.sendall(answer)

    return handle


PASSED = {
    "a length": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + CLOSING + b"ok",
    ),
    "no reason": (
        b"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 404\r\nContent-Length: 0\r\n" + CLOSING,
    ),
    "chunks and a trailer": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nDigest: z\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + CLOSING + b"2\r\nok\r\n0\r\nDigest: z\r\n\r\n",
    ),
    "until the connection closes": (
        b"HTTP/1.1 200 OK\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n" + CLOSING + b"ok",
    ),
    "HTTP/1.0": (
        b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nServer: x\r\n" + CLOSING + b"ok",
    ),
    "fields between two hops": (
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + CLOSING,
    ),
    "204 that says a length": (
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nX: y\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nX: y\r\n" + CLOSING,
    ),
    "304 with the length of what it stands for": (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n" + CLOSING,
    ),
    "early hints": (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + CLOSING + b"ok",
    ),
    "bytes behind the answer": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + CLOSING + b"ok",
    ),
}


@pytest.mark.parametrize(("sent", "received"), PASSED.values(), ids=PASSED.keys())
def test_a_valid_answer_reaches_the_client(door: FrontDoor, serve: Serve, sent: bytes, received: bytes) -> None:
    door.route(serve(answering(sent)).port)
    assert exchange(door.address, GET_CLOSE) == received


REFUSED = {
    "no HTTP": b"hello\r\n\r\n",
    "line feeds alone": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "HTTP/2": b"HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "a status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "a length that is no number": b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked, then something else": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "a folded field": b"HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 2\r\n\r\nok",
    "a control character": b"HTTP/1.1 200 OK\r\nX: \x00\r\nContent-Length: 2\r\n\r\nok",
    "a switch nobody asked for": b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    "a head of 65 KiB": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 66560 + b"\r\nContent-Length: 2\r\n\r\nok",
    "a bad chunk at once": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED.keys())
def test_an_answer_that_breaks_the_rules_becomes_a_502(door: FrontDoor, serve: Serve, sent: bytes) -> None:
    door.route(serve(answering(sent)).port)
    answer = exchange(door.address, GET)
    assert answer.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert answer.count(b"\r\n\r\n") == 1


def test_a_head_request_gets_the_length_and_no_body(door: FrontDoor, serve: Serve) -> None:
    def handle(connection: socket.socket) -> None:
        read_until(connection, b"\r\n\r\n")
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")

    door.route(serve(handle).port)
    head = b"HEAD / HTTP/1.1\r\nHost: shop\r\n"
    answer = exchange(door.address, head + b"\r\n" + head + CLOSING)
    assert answer == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5000\r\n" + CLOSING
    )


def test_a_truncated_answer_is_never_made_to_look_whole(door: FrontDoor, serve: Serve) -> None:
    door.route(serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")).port)
    answer = exchange(door.address, GET)
    assert answer == b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"


def test_a_truncated_chunked_answer_is_never_made_to_look_whole(door: FrontDoor, serve: Serve) -> None:
    door.route(serve(answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nab")).port)
    answer = exchange(door.address, GET)
    assert answer == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nab"


def test_an_answer_without_length_that_is_reset_resets_the_client(door: FrontDoor, serve: Serve) -> None:
    half_seen = threading.Event()

    def handle(connection: socket.socket) -> None:
        read_until(connection, b"\r\n\r\n")
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        half_seen.wait(DEADLINE_S)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    door.route(serve(handle).port)
    with connect(door.address) as client:
        client.sendall(GET)
        read_until(client, b"half")
        half_seen.set()
        with pytest.raises(ConnectionResetError):
            read_all(client)


def test_an_answer_that_loses_its_backend_before_the_first_byte_is_a_502(door: FrontDoor, serve: Serve) -> None:
    door.route(serve(answering(b"")).port)
    answer = exchange(door.address, b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nab")
    assert answer == (
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 50\r\n"
        b"Cache-Control: no-store\r\nConnection: close\r\n\r\nThe app closed the connection before it answered.\n"
    )


def test_an_early_answer_to_a_body_still_under_way_is_passed_on(door: FrontDoor, serve: Serve) -> None:
    door.route(serve(answering(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")).port)
    with connect(door.address) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 1000000\r\n\r\nab")
        assert read_until(client, b"\r\n\r\n") == b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n" + CLOSING
        client.sendall(b"x" * 100000)  # what is sent on after it does not reset the connection
        assert client.recv(1) == b""


def test_a_client_that_waits_for_100_continue_gets_it(door: FrontDoor, serve: Serve) -> None:
    def handle(connection: socket.socket) -> None:
        assert b"Expect: 100-continue\r\n" in read_until(connection, b"\r\n\r\n")
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert read_until(connection, b"body") == b"body"
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    door.route(serve(handle).port)
    with connect(door.address) as client:
        client.sendall(b"PUT / HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert read_until(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"body")
        assert read_answer(client) == (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok")


def test_a_client_of_http_1_0_gets_no_interim_answer_and_a_closed_connection(door: FrontDoor, serve: Serve) -> None:
    door.route(serve(answering(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")).port)
    answer = exchange(door.address, b"GET / HTTP/1.0\r\nHost: shop\r\nConnection: keep-alive\r\n\r\n")
    assert answer == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + CLOSING + b"ok"
