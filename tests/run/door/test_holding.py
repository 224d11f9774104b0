"""What clients see while no process of the app answers: a pause if it comes back, a plain word if it does not."""

import socket
import threading
import time
from collections.abc import Callable

import pytest

from support.door import FrontDoor
from support.wire import DEADLINE_S, OK, Backend, Recorder, connect, exchange, read_answer, read_until

Serve = Callable[..., Backend]

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\n\r\nbody"


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def refusal(text: str, reason: str = "503 Service Unavailable") -> bytes:
    return (
        f"HTTP/1.1 {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(text) + 1}\r\n"
        f"Cache-Control: no-store\r\nConnection: close\r\n\r\n{text}\n"
    ).encode()


def test_requests_that_come_before_a_route_wait_for_it(door: FrontDoor, serve: Serve) -> None:
    recorder = Recorder()
    with connect(door.address) as get, connect(door.address) as post:
        get.sendall(GET)
        post.sendall(POST)
        wait_until(lambda: door.status().get("held") == 2, "nothing is held")
        door.route(serve(recorder).port)
        assert read_answer(get)[1] == b"ok"
        assert read_answer(post)[1] == b"ok"
    assert sorted(request.split(b" ")[0] for request in recorder.requests) == [b"GET", b"POST"]


def test_requests_wait_while_a_crashed_process_starts_again(door: FrontDoor, serve: Serve, free_port: int) -> None:
    door.route(free_port)
    with connect(door.address) as get, connect(door.address) as post:
        get.sendall(GET)
        post.sendall(POST)
        wait_until(lambda: door.status()["held"] == 2, "nothing is held")
        serve(Recorder(), free_port)
        assert read_answer(get)[1] == b"ok"
        assert read_answer(post)[1] == b"ok"


def test_a_process_that_takes_no_connection_is_passed_over(door: FrontDoor, serve: Serve, free_port: int) -> None:
    recorder = Recorder()
    door.route(free_port, serve(recorder).port)
    with connect(door.address) as client:
        for _ in range(20):
            client.sendall(POST)
            assert read_answer(client)[1] == b"ok"
    assert len(recorder.requests) == 20


def test_a_request_that_a_dying_process_took_is_asked_again_if_the_method_allows(door: FrontDoor, serve: Serve) -> None:
    seen: list[bytes] = []
    closed = threading.Semaphore(0)

    def handle(connection: socket.socket) -> None:
        head = read_until(connection, b"\r\n\r\n")
        seen.append(head.split(b" ")[0])
        if len(seen) % 2 == 0:
            connection.sendall(OK)
            connection.close()
            closed.release()

    door.route(serve(handle).port)
    put = b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody"
    assert exchange(door.address, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")).endswith(b"\r\n\r\nok")
    assert closed.acquire(
        timeout=DEADLINE_S
    )  # else the next might be written to a connection that is about to be closed
    assert exchange(door.address, put).endswith(b"\r\n\r\nok")
    assert closed.acquire(timeout=DEADLINE_S)
    assert exchange(door.address, POST) == refusal(
        "The app closed the connection before it answered.", "502 Bad Gateway"
    )
    assert seen == [b"GET", b"GET", b"PUT", b"PUT", b"POST"]


def test_a_request_that_kills_every_process_is_asked_three_times_at_most(door: FrontDoor, serve: Serve) -> None:
    backend = serve(lambda connection: read_until(connection, b"\r\n\r\n") and None)
    door.route(backend.port)
    assert exchange(door.address, GET) == refusal(
        "The app closed the connection before it answered.", "502 Bad Gateway"
    )
    assert backend.accepted == 3


def test_a_stopped_deploy_says_so_at_once(door: FrontDoor) -> None:
    with connect(door.address) as held:
        held.sendall(GET)
        wait_until(lambda: door.status().get("held") == 1, "nothing is held")
        door.route(stopped=True)
        head, body = read_answer(held)
        assert head + body == refusal("No web process of this app is running.")
    assert exchange(door.address, GET) == refusal("No web process of this app is running.")
    assert (
        exchange(door.address, GET.replace(b"GET", b"HEAD"))
        == refusal("No web process of this app is running.").partition(b"No web")[0]
    )


def test_no_more_than_a_thousand_requests_are_held(door: FrontDoor) -> None:
    clients = [connect(door.address) for _ in range(1000)]
    try:
        for client in clients:
            client.sendall(GET)
        wait_until(lambda: door.status().get("held") == 1000, "not all are held")
        assert exchange(door.address, GET) == refusal(
            "No process of this app takes connections, and too many requests wait for one already."
        )
        door.route(stopped=True)
        assert {read_answer(client)[1] for client in clients} == {b"No web process of this app is running.\n"}
    finally:
        for client in clients:
            client.close()


def test_a_client_that_stops_waiting_is_not_asked_for(door: FrontDoor, serve: Serve) -> None:
    recorder = Recorder()
    with connect(door.address) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.sendall(POST)
        wait_until(lambda: door.status().get("held") == 1, "nothing is held")
    wait_until(lambda: door.status()["held"] == 0, "still held")
    door.route(serve(recorder).port)
    assert recorder.requests == []


@pytest.mark.slow
def test_a_held_request_is_refused_after_ten_seconds(door: FrontDoor, free_port: int) -> None:
    door.route(free_port)
    began = time.monotonic()
    with connect(door.address) as client:
        client.settimeout(60)  # how late the answer comes is the machine's matter, that it is not early is the door's
        client.sendall(POST)
        head, body = read_answer(client)
    assert head + body == refusal("No process of this app takes connections.")
    assert time.monotonic() - began > 9


def test_a_process_that_never_reads_its_queue_does_not_hold_up_others(door: FrontDoor, serve: Serve) -> None:
    """A full accept queue leaves connections unfinished: they wait beside those that are served."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = int(full.getsockname()[1])
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        door.route(port)
        with connect(door.address) as stuck, connect(door.address) as client:
            stuck.sendall(POST)
            wait_until(lambda: door.in_flight() == 1, "nothing is in flight")
            recorder = Recorder()
            door.route(port, serve(recorder).port)
            client.sendall(POST)
            assert read_answer(client)[1] == b"ok"
        for filler in fillers:
            filler.close()


def test_backends_on_one_thread_are_shared_by_many_clients(door: FrontDoor, serve: Serve) -> None:
    turn = threading.Lock()

    def handle(connection: socket.socket) -> None:
        with turn:
            read_until(connection, b"\r\n\r\n")
            connection.sendall(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    door.route(serve(handle).port)
    clients = [connect(door.address) for _ in range(50)]
    try:
        for client in clients:
            client.sendall(GET)
        assert {read_answer(client)[1] for client in clients} == {b"ok"}
    finally:
        for client in clients:
            client.close()


def test_what_was_asked_and_what_the_door_refused_is_counted(door: FrontDoor, serve: Serve) -> None:
    door.route(serve(Recorder()).port)
    with connect(door.address) as client:
        for _ in range(3):
            client.sendall(GET)
            read_answer(client)
    (backend,) = door.status()["backends"]
    assert (door.status()["requests"], backend["requests"], door.status()["refused"]) == (3, 3, 0)
    door.route(stopped=True)
    for asked in (GET, b"nonsense\r\n\r\n"):
        with connect(door.address) as client:
            client.sendall(asked)
            read_answer(client)
    assert (door.status()["requests"], door.status()["refused"]) == (4, 2)
