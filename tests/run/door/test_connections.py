"""Long, slow, half-closed and upgraded connections; bodies larger than any buffer."""

import contextlib
import socket
import threading
from collections.abc import Callable

import pytest

from support.door import FrontDoor
from support.processor import wait_for_rest
from support.wire import (
    DEADLINE_S,
    OK,
    Backend,
    Recorder,
    connect,
    read_all,
    read_answer,
    read_exactly,
    read_until,
)

Serve = Callable[..., Backend]

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
MIB = 1 << 20


def test_one_connection_serves_many_requests_and_reuses_one_to_the_backend(door: FrontDoor, serve: Serve) -> None:
    recorder = Recorder()
    backend = serve(recorder)
    door.route(backend.port)
    with connect(door.address) as client:
        for _ in range(100):
            client.sendall(GET)
            assert read_answer(client)[1] == b"ok"
    assert len(recorder.requests) == 100
    assert backend.accepted == 1


def test_a_connection_that_the_backend_closed_while_idle_is_not_used_again(door: FrontDoor, serve: Serve) -> None:
    closed = threading.Semaphore(0)

    def handle(connection: socket.socket) -> None:
        read_until(connection, b"abc")
        connection.sendall(OK)
        connection.close()
        closed.release()

    backend = serve(handle)
    door.route(backend.port)
    with connect(door.address) as client:
        for number in range(1, 51):
            client.sendall(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\n\r\nabc")
            assert read_answer(client)[1] == b"ok"
            assert closed.acquire(timeout=DEADLINE_S)
            assert backend.accepted == number


def test_a_client_that_sends_byte_by_byte_is_answered(door: FrontDoor, recorder: Recorder) -> None:
    with connect(door.address) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n":
            client.sendall(bytes([byte]))
        assert read_answer(client)[1] == b"ok"
    assert recorder.requests[0].endswith(b"\r\n\r\n4\r\nbody\r\n0\r\n\r\n")


def test_a_backend_that_answers_byte_by_byte_is_relayed(door: FrontDoor, serve: Serve) -> None:
    def handle(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        read_until(connection, b"\r\n\r\n")
        for byte in OK:
            connection.sendall(bytes([byte]))

    door.route(serve(handle).port)
    with connect(door.address) as client:
        client.sendall(GET)
        assert client.recv(1) + read_exactly(client, len(OK) - 1) == OK


def test_a_client_that_has_closed_its_half_is_answered(door: FrontDoor, serve: Serve) -> None:
    half_closed = threading.Event()

    def handle(connection: socket.socket) -> None:
        read_until(connection, b"\r\n\r\n")
        half_closed.wait(DEADLINE_S)
        connection.sendall(OK)

    door.route(serve(handle).port)
    with connect(door.address) as client:
        client.sendall(GET)
        client.shutdown(socket.SHUT_WR)
        half_closed.set()
        assert read_all(client).endswith(b"\r\n\r\nok")


def test_an_upload_that_is_cut_short_never_becomes_a_request(door: FrontDoor, serve: Serve) -> None:
    recorder = Recorder()
    door.route(serve(recorder).port)
    with connect(door.address) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 10\r\n\r\nhalf")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b""
    assert recorder.requests == []


def test_a_client_that_goes_away_takes_its_request_from_the_backend(door: FrontDoor, serve: Serve) -> None:
    began, noticed = threading.Event(), threading.Event()

    def handle(connection: socket.socket) -> None:
        read_until(connection, b"\r\n\r\n")
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        began.set()
        try:
            while not noticed.is_set():
                connection.sendall(b"tick\n" * 1000)
        except OSError:
            noticed.set()

    door.route(serve(handle).port)
    client = connect(door.address)
    client.sendall(GET)
    assert began.wait(DEADLINE_S)
    client.close()
    assert noticed.wait(DEADLINE_S)


def test_a_client_that_has_closed_its_half_and_is_reset_takes_its_request_from_the_backend(
    door: FrontDoor, serve: Serve
) -> None:
    asked, left = threading.Event(), threading.Event()

    def handle(connection: socket.socket) -> None:
        read_until(connection, b"\r\n\r\n")
        asked.set()
        assert connection.recv(1) == b""
        left.set()

    door.route(serve(handle).port)
    with connect(door.address) as client:
        client.sendall(GET)
        client.shutdown(socket.SHUT_WR)
        assert asked.wait(DEADLINE_S)
        wait_for_rest(door.pid, for_s=0.1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert left.wait(DEADLINE_S)
    wait_for_rest(door.pid, for_s=0.1)
    assert door.status()["connections"] == 0


def test_a_client_that_has_closed_its_half_before_a_switch_has_closed_it_for_the_backend(
    door: FrontDoor, serve: Serve
) -> None:
    ended = threading.Event()

    def handle(connection: socket.socket) -> None:
        read_until(connection, b"\r\n\r\n")
        wait_for_rest(door.pid, for_s=0.1)
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
        assert connection.recv(1) == b""
        ended.set()

    door.route(serve(handle).port)
    with connect(door.address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        assert ended.wait(DEADLINE_S)


def test_events_are_passed_on_as_they_come(door: FrontDoor, serve: Serve) -> None:
    seen = threading.Semaphore(0)

    def handle(connection: socket.socket) -> None:
        read_until(connection, b"\r\n\r\n")
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(5):
            connection.sendall(b"9\r\ndata: %d\n\n\r\n" % number)
            assert seen.acquire(timeout=DEADLINE_S)
        connection.sendall(b"0\r\n\r\n")

    door.route(serve(handle).port)
    with connect(door.address) as client:
        client.sendall(GET)
        read_until(client, b"\r\n\r\n")
        for number in range(5):
            assert read_exactly(client, 14) == b"9\r\ndata: %d\n\n\r\n" % number
            seen.release()
        assert read_exactly(client, 5) == b"0\r\n\r\n"


def send_all(client: socket.socket, pieces: list[bytes]) -> None:
    for piece in pieces:
        client.sendall(piece)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_fifty_megabytes_go_up_and_come_back_without_being_held(door: FrontDoor, serve: Serve, chunked: bool) -> None:
    size = 50 * MIB

    def handle(connection: socket.socket) -> None:
        head = read_until(connection, b"\r\n\r\n")
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
        assert framing in head
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        while data := connection.recv(MIB):
            connection.sendall(data)
            if data.endswith((b"end-of-body\r\n0\r\n\r\n", b"end-of-body")):
                return

    door.route(serve(handle).port)
    before = door.memory_bytes()
    block = bytes(range(256)) * (MIB // 256)
    last = block[:-11] + b"end-of-body"
    with connect(door.address) as client:
        blocks = [block] * (size // MIB - 1) + [last]
        wire = [b"%x\r\n%s\r\n" % (len(one), one) for one in blocks] + [b"0\r\n\r\n"] if chunked else blocks
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
        head = b"PUT / HTTP/1.1\r\nHost: shop\r\n" + framing + b"\r\n\r\n"
        sender = threading.Thread(target=send_all, args=(client, [head, *wire]))
        sender.start()
        read_until(client, b"\r\n\r\n")
        for piece in wire:
            assert read_exactly(client, len(piece)) == piece
        sender.join(DEADLINE_S)
    assert door.memory_bytes() - before < 8 * MIB


def test_a_client_that_reads_slowly_holds_no_more_than_a_buffer_in_the_door(door: FrontDoor, serve: Serve) -> None:
    blocked = threading.Event()

    def handle(connection: socket.socket) -> None:
        read_until(connection, b"\r\n\r\n")
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MIB))
        connection.settimeout(0.5)
        sent = 0
        try:
            while sent < 64 * MIB:
                sent += connection.send(b"x" * 65536)
        except TimeoutError:
            blocked.set()
        connection.settimeout(DEADLINE_S)
        connection.sendall(b"x" * (64 * MIB - sent))

    door.route(serve(handle).port)
    before = door.memory_bytes()
    with connect(door.address) as client:
        client.sendall(GET)
        assert blocked.wait(DEADLINE_S)
        assert door.memory_bytes() - before < 4 * MIB
        read_until(client, b"\r\n\r\n")
        assert read_exactly(client, 64 * MIB) == b"x" * (64 * MIB)


def test_a_websocket_becomes_a_stream_of_bytes(door: FrontDoor, serve: Serve) -> None:
    heads = []

    def handle(connection: socket.socket) -> None:
        heads.append(read_until(connection, b"\r\n\r\n"))
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello"
        )
        while data := connection.recv(65536):
            connection.sendall(data.upper())
        connection.sendall(b"bye")

    door.route(serve(handle).port)
    with connect(door.address) as client:
        client.sendall(
            b"GET /chat HTTP/1.1\r\nHost: shop\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: x\r\n\r\nearly"
        )
        assert read_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        assert read_exactly(client, 10) == b"helloEARLY"
        for _ in range(20):
            client.sendall(b"GET / HTTP/1.1\r\n\0\xff")
            assert read_exactly(client, 18) == b"GET / HTTP/1.1\r\n\0\xff"
        assert door.in_flight() == 1
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"bye"
    assert b"Connection: Upgrade\r\nUpgrade: websocket\r\n" in heads[0]
    assert b"Sec-WebSocket-Key: x\r\n" in heads[0]


def test_an_upgrade_that_the_backend_declines_is_an_ordinary_request(door: FrontDoor, recorder: Recorder) -> None:
    with connect(door.address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + GET)
        assert read_answer(client)[1] == b"ok"
        assert read_answer(client)[1] == b"ok"


def test_four_hundred_clients_at_once_are_answered(door: FrontDoor, recorder: Recorder) -> None:
    clients = [connect(door.address) for _ in range(400)]
    try:
        for client in clients:
            client.sendall(GET)
        assert {read_answer(client)[1] for client in clients} == {b"ok"}
        before = door.memory_bytes()
        assert door.status()["connections"] == 400
        assert before < 20 * MIB
    finally:
        for client in clients:
            client.close()


def test_an_answer_that_ends_an_upload_early_is_not_lost_with_the_connection(door: FrontDoor, serve: Serve) -> None:
    def handle(connection: socket.socket) -> None:
        read_until(connection, b"\r\n\r\n")
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig")

    door.route(serve(handle).port)
    for _ in range(20):
        with connect(door.address) as client:
            sender = threading.Thread(target=push, args=(client, 8 * MIB))
            sender.start()
            assert read_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 413 ")
            assert read_exactly(client, 3) == b"big"
        sender.join(DEADLINE_S)


def push(client: socket.socket, size: int) -> None:
    with contextlib.suppress(OSError):
        client.sendall(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n\r\n" % size)
        client.sendall(b"x" * size)


def test_half_a_request_behind_a_whole_one_ends_with_the_connection(door: FrontDoor, recorder: Recorder) -> None:
    with connect(door.address) as client:
        client.sendall(GET + b"GET / HT")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client).endswith(b"\r\n\r\nok")
    assert len(recorder.requests) == 1
