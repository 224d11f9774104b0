"""Releases change behind the door while clients ask: nothing is lost, whatever the manners of the app."""

import itertools
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import support.manners
from support.door import FrontDoor
from support.wire import DEADLINE_S, OK, Backend, Recorder, connect, read_answer, read_until

Serve = Callable[..., Backend]

APP = Path(support.manners.__file__)
SWITCHES = 5
CLIENTS = 6


class Release:
    """One process of a real app, on a port of its own."""

    def __init__(self, manner: str, number: int) -> None:
        self.number = number
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self._process = subprocess.Popen((sys.executable, "-I", APP, manner, str(self.port), f"v{number}"))
        deadline = time.monotonic() + DEADLINE_S
        while not self._answers():
            assert time.monotonic() < deadline, "the app does not answer"

    def end(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(DEADLINE_S)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except ConnectionRefusedError:
            time.sleep(0.01)
            return False


class Load:
    """Clients that ask until they are told to stop; every answer is checked, and every failure kept."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.answers: Counter[bytes] = Counter()
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(DEADLINE_S)

    def wait_for(self, name: bytes, count: int) -> None:
        """Until this release has given so many answers more."""
        until = self.answers[name] + count
        deadline = time.monotonic() + DEADLINE_S
        while self.answers[name] < until and not self.failures:
            assert time.monotonic() < deadline, f"{name!r} does not answer: {self.answers}"
            time.sleep(0.002)

    def _ask(self, number: int) -> None:
        keeps, posts = number % 2 == 0, number % 3 == 0
        connection = connect(self.address)
        try:
            for turn in itertools.count():
                if self._stop.is_set():
                    return
                self._ask_once(connection, b"%d-%d" % (number, turn) if posts else b"", keeps)
                if not keeps:
                    connection.close()
                    connection = connect(self.address)
        except (OSError, EOFError) as error:
            self.failures.append(f"client {number}: {type(error).__name__} {error}")
        finally:
            connection.close()

    def _ask_once(self, connection: socket.socket, body: bytes, keeps: bool) -> None:
        method = b"POST" if body else b"GET"
        closing = b"" if keeps else b"Connection: close\r\n"
        connection.sendall(
            b"%s / HTTP/1.1\r\nHost: shop\r\n%sContent-Length: %d\r\n\r\n%s" % (method, closing, len(body), body)
        )
        head, content = read_answer(connection)
        name, _, echo = content.partition(b" ")
        if not head.startswith(b"HTTP/1.1 200 ") or echo != body:
            self.failures.append(f"{head!r} {content!r}")
        self.answers[name] += 1


@pytest.mark.parametrize("manner", ["polite", "idle-close", "abrupt"])
def test_no_request_is_lost_while_releases_are_switched(door: FrontDoor, manner: str) -> None:
    current = Release(manner, 1)
    door.route(current.port, release=1)
    load = Load(door.address)
    try:
        for number in range(2, SWITCHES + 2):
            load.wait_for(b"v%d" % current.number, 200)
            new = Release(manner, number)
            door.route(new.port, release=number)
            door.wait_for_idle(current.port)
            current.end()
            current = new
        load.wait_for(b"v%d" % current.number, 200)
    finally:
        load.stop()
        current.end()
    assert load.failures == []
    assert sum(load.answers.values()) >= 1200
    assert set(load.answers) == {b"v%d" % number for number in range(1, SWITCHES + 2)}


def test_a_keep_alive_client_reaches_the_new_release_with_its_next_request(door: FrontDoor, serve: Serve) -> None:
    old, new = Recorder(OK.replace(b"ok", b"v1")), Recorder(OK.replace(b"ok", b"v2"))
    old_port, new_port = serve(old).port, serve(new).port
    door.route(old_port, release=1)
    with connect(door.address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        assert read_answer(client)[1] == b"v1"
        door.route(new_port, release=2)
        door.wait_for_idle(old_port)
        client.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        assert read_answer(client)[1] == b"v2"


def test_a_leaving_backend_is_idle_only_after_its_last_answer(door: FrontDoor, serve: Serve) -> None:
    asked, may_answer = threading.Event(), threading.Event()

    def handle(connection: socket.socket) -> None:
        read_until(connection, b"\r\n\r\n")
        asked.set()
        may_answer.wait(DEADLINE_S)
        connection.sendall(OK.replace(b"ok", b"v1"))

    old_port, new_port = serve(handle).port, serve(Recorder()).port
    door.route(old_port, release=1)
    with connect(door.address) as client, connect(door.address) as other:
        client.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        assert asked.wait(DEADLINE_S)
        door.route(new_port, release=2)
        other.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        assert read_answer(other)[1] == b"ok"
        assert door.link.events() == []
        assert [backend["leaving"] for backend in door.status()["backends"]] == [False, True]
        may_answer.set()
        assert door.wait_for_idle(old_port) == (1, 0)
        assert read_answer(client)[1] == b"v1"
    assert len(door.status()["backends"]) == 1


def test_a_backend_that_comes_back_while_leaving_serves_again(door: FrontDoor, serve: Serve) -> None:
    asked, may_answer = threading.Event(), threading.Event()

    def handle(connection: socket.socket) -> None:
        read_until(connection, b"\r\n\r\n")
        asked.set()
        may_answer.wait(DEADLINE_S)
        connection.sendall(OK)

    old_port, new_port = serve(handle).port, serve(Recorder()).port
    door.route(old_port, release=1)
    with connect(door.address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        assert asked.wait(DEADLINE_S)
        door.route(new_port, release=2)
        door.route(old_port, release=1)
        door.wait_for_idle(new_port)
        may_answer.set()
        assert read_answer(client)[1] == b"ok"
        client.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        assert read_answer(client)[1] == b"ok"
    assert door.link.events() == []


def test_what_is_left_after_the_grace_time_is_cut_and_counted(door: FrontDoor, serve: Serve) -> None:
    asked = threading.Semaphore(0)

    def handle(connection: socket.socket) -> None:
        read_until(connection, b"\r\n\r\n")
        asked.release()
        connection.recv(1)

    old_port, new_port = serve(handle).port, serve(Recorder()).port
    door.route(old_port, release=1)
    with connect(door.address) as get, connect(door.address) as post:
        get.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        post.sendall(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n")
        assert asked.acquire(timeout=DEADLINE_S)
        assert asked.acquire(timeout=DEADLINE_S)
        door.route(new_port, release=2)
        answer = door.ask({"do": "cut", "deploy": "shop/production", "port": old_port})
        assert answer.data == {"ok": True, "drained": 0, "cut": 2}
        assert door.wait_for_idle(old_port) == (0, 2)
        assert read_answer(get)[1] == b"ok"  # nothing had come: asked again, of the new release
        assert read_answer(post)[0].startswith(b"HTTP/1.1 502 ")


def test_requests_go_to_the_least_busy_process(door: FrontDoor, serve: Serve) -> None:
    may_answer = threading.Event()

    def handle(connection: socket.socket) -> None:
        while read_until(connection, b"\r\n\r\n"):
            may_answer.wait(DEADLINE_S)
            connection.sendall(OK)

    ports = [serve(handle).port for _ in range(3)]
    door.route(*ports)
    clients = [connect(door.address) for _ in range(9)]
    try:
        for number, client in enumerate(clients, 1):
            client.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
            deadline = time.monotonic() + DEADLINE_S
            while door.in_flight() < number:
                assert time.monotonic() < deadline
        assert [backend["in_flight"] for backend in door.status()["backends"]] == [3, 3, 3]
        may_answer.set()
        assert {read_answer(client)[1] for client in clients} == {b"ok"}
    finally:
        may_answer.set()
        for client in clients:
            client.close()
