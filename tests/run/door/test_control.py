"""What the supervisor asks of the door, and what both survive."""

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.door import FrontDoor
from support.processor import wait_for_rest
from support.wire import DEADLINE_S, Backend, Recorder, connect, exchange, read_all, read_answer
from trivet.errors import SupervisorUnreachable
from trivet.host.key import take_key
from trivet.host.sockets import connect_unix, send_line
from trivet.model.home import Home
from trivet.run.door import launch, link

Serve = Callable[..., Backend]

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
GET_CLOSE = b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"


def test_the_door_stays_open_while_supervisors_come_and_go(door: FrontDoor, recorder: Recorder) -> None:
    with connect(door.address) as client:
        door.link.close()
        client.sendall(GET)
        assert read_answer(client)[1] == b"ok"
        assert exchange(door.address, GET_CLOSE).endswith(b"\r\n\r\nok")
        door.link = link.connect(door.home)
        assert door.status()["requests"] == 2


def test_the_listening_sockets_are_handed_back(door: FrontDoor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as second:
        door.open(second, "blog/staging")
        answer = door.ask({"do": "listeners"})
    expected = [("shop/production", *door.address), ("blog/staging", *second_address(answer))]
    assert [(one["deploy"], one["host"], one["port"]) for one in answer.data["doors"]] == expected
    for fd, (_, host, port) in zip(answer.fds, expected, strict=True):
        with socket.socket(fileno=fd) as handed_back:
            assert handed_back.getsockname() == (host, port)
            assert not os.get_inheritable(fd)
            assert handed_back.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1


def second_address(answer: link.Answer) -> tuple[str, int]:
    return answer.data["doors"][1]["host"], answer.data["doors"][1]["port"]


def test_a_killed_door_is_replaced_on_the_same_socket(door: FrontDoor, serve: Serve) -> None:
    port = serve(Recorder()).port
    door.route(port)
    with connect(door.address) as idle:
        idle.sendall(GET)
        assert read_answer(idle)[1] == b"ok"
        door.kill()
        with connect(door.address) as early:  # accepted by the kernel while there is no door
            early.sendall(GET_CLOSE)
            door.start()
            door.route(port)
            assert read_all(early).endswith(b"\r\n\r\nok")
        assert idle.recv(1) == b""
    assert exchange(door.address, GET_CLOSE).endswith(b"\r\n\r\nok")


def test_a_second_door_in_the_same_home_ends_at_once(door: FrontDoor, recorder: Recorder) -> None:
    second = subprocess.run(launch.argv(door.home), timeout=DEADLINE_S, check=False)
    assert second.returncode == 75
    assert exchange(door.address, GET_CLOSE).endswith(b"\r\n\r\nok")


def test_opening_the_same_address_again_changes_nothing(door: FrontDoor, recorder: Recorder) -> None:
    with connect(door.address) as client:
        door.open(door.listening)
        assert len(door.ask({"do": "listeners"}).data["doors"]) == 1
        client.sendall(GET)
        assert read_answer(client)[1] == b"ok"
    assert exchange(door.address, GET_CLOSE).endswith(b"\r\n\r\nok")


def test_a_deploy_moves_to_another_port_without_losing_its_clients(door: FrontDoor, recorder: Recorder) -> None:
    host, port = door.address
    with socket.create_server(("127.0.0.1", 0)) as second, connect(door.address) as client:
        door.open(second)
        assert door.ask({"do": "close", "deploy": "shop/production", "host": host, "port": port}).ok
        assert exchange(second.getsockname(), GET_CLOSE).endswith(b"\r\n\r\nok")
        client.sendall(GET)
        assert read_answer(client)[1] == b"ok"
        assert [one["port"] for one in door.ask({"do": "listeners"}).data["doors"]] == [second.getsockname()[1]]


def test_a_closed_deploy_finishes_what_is_under_way(door: FrontDoor, serve: Serve) -> None:
    asked, may_answer = threading.Event(), threading.Event()

    def handle(connection: socket.socket) -> None:
        connection.recv(65536)
        asked.set()
        may_answer.wait(DEADLINE_S)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    port = serve(handle).port
    door.route(port)
    with connect(door.address) as idle, connect(door.address) as busy:
        busy.sendall(GET)
        assert asked.wait(DEADLINE_S)
        assert door.ask({"do": "close", "deploy": "shop/production"}).ok
        assert idle.recv(1) == b""
        may_answer.set()
        assert read_all(busy) == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
        door.wait_for_idle(port)
    deadline = time.monotonic() + DEADLINE_S
    while door.ask({"do": "status"}).data["deploys"]:
        assert time.monotonic() < deadline, "the closed deploy is not forgotten"


def test_a_deploy_whose_last_address_is_closed_can_be_opened_again(door: FrontDoor, serve: Serve) -> None:
    host, port = door.address
    backend = serve(Recorder()).port
    door.route(backend)
    with connect(door.address) as idle:
        idle.sendall(GET)
        assert read_answer(idle)[1] == b"ok"
        assert door.ask({"do": "close", "deploy": "shop/production", "host": host, "port": port}).ok
        assert idle.recv(1) == b""
    door.wait_for_idle(backend)
    door.open(door.listening)
    door.route(backend)
    assert exchange(door.address, GET_CLOSE).endswith(b"\r\n\r\nok")


def test_two_deploys_have_nothing_to_do_with_each_other(door: FrontDoor, recorder: Recorder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as second:
        door.open(second, "blog/staging")
        door.route(deploy="blog/staging", stopped=True)
        assert exchange(second.getsockname(), GET).startswith(b"HTTP/1.1 503 ")
        assert exchange(door.address, GET_CLOSE).endswith(b"\r\n\r\nok")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"nonsense", "JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
        (b"{}", "ValueError: the front door does not know how to None"),
        (b'{"do": "dance"}', "ValueError: the front door does not know how to 'dance'"),
        (b'{"do": "route", "deploy": "a/b"}', "KeyError: 'backends'"),
        (b'{"do": "route", "deploy": "a/b", "backends": [{"port": "x"}]}', "KeyError: 'process'"),
        (b'{"do": "open", "deploy": "a/b", "host": "h", "port": 1}', "IndexError: list index out of range"),
        (b'{"do": "cut", "deploy": 1, "port": 1}', "TypeError: deploy is no text"),
    ],
)
def test_a_request_that_the_door_cannot_read_is_answered_with_the_reason(
    door: FrontDoor, line: bytes, error: str
) -> None:
    with connect_unix(launch.socket_path(door.home), 5) as connection:
        key = take_key(door.home.supervisor)
        send_line(connection, line, (key,))
        os.close(key)
        assert connection.recv(65536).decode() == f'{{"ok": false, "error": "{error}"}}\n'


def test_a_home_without_a_door_says_what_to_do(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.supervisor.mkdir()
    with pytest.raises(SupervisorUnreachable) as caught:
        link.connect(home)
    assert caught.value.message == "The front door does not answer: No such file or directory."
    assert caught.value.hint == "The supervisor starts it again; `trivet up` starts the supervisor."


def test_the_end_of_the_door_is_seen_on_the_link(tmp_path: Path) -> None:
    door = FrontDoor(tmp_path / "home")
    try:
        assert door.ask({"do": "end"}).ok
        deadline = time.monotonic() + DEADLINE_S
        while not door.link.ended:
            assert time.monotonic() < deadline
            door.link.events()
        with pytest.raises(SupervisorUnreachable):
            door.ask({"do": "status"})
    finally:
        door.close()


def test_only_the_owner_can_reach_the_control_socket(door: FrontDoor) -> None:
    assert launch.socket_path(door.home).stat().st_mode & 0o777 == 0o600
    assert launch.log_path(door.home).stat().st_mode & 0o777 == 0o600


def test_a_deep_home_has_a_door_as_well(tmp_path: Path) -> None:
    door = FrontDoor(tmp_path / ("deep" * 20) / ("deeper" * 20) / "home")
    try:
        assert door.ask({"do": "status"}).ok
    finally:
        door.close()


def test_the_door_outlives_a_shortage_of_descriptors(tmp_path: Path, serve: Serve) -> None:
    door = FrontDoor(tmp_path / "home", ("prlimit", "--nofile=100:100"))
    clients = []
    try:
        door.route(serve(Recorder()).port)
        clients = [connect(door.address) for _ in range(60)]  # more than half of what is left of a hundred
        for client in clients[:15]:
            client.sendall(GET)
            assert read_answer(client)[1] == b"ok"
        for client in clients:
            client.close()
        assert exchange(door.address, GET_CLOSE).endswith(b"\r\n\r\nok")
        assert "connections are open, as many as there are descriptors for" in door.log
    finally:
        for client in clients:
            client.close()
        door.close()


def test_connections_to_one_deploy_do_not_shut_the_door_of_another(tmp_path: Path, serve: Serve) -> None:
    door = FrontDoor(tmp_path / "home", ("prlimit", "--nofile=264:264"))  # for a hundred connections
    with contextlib.ExitStack() as ends:
        ends.callback(door.close)
        second = ends.enter_context(socket.create_server(("127.0.0.1", 0)))
        door.open(second, "blog/staging")
        port = serve(Recorder()).port
        door.route(port)
        door.route(port, deploy="blog/staging")
        known = ends.enter_context(connect(door.address))
        crowd = [ends.enter_context(connect(door.address)) for _ in range(130)]
        deadline = time.monotonic() + DEADLINE_S
        while "leave room for the others" not in door.log:
            assert time.monotonic() < deadline, door.log
            time.sleep(0.01)
        assert door.status()["connections"] == 88
        for each in (known, *(ends.enter_context(connect(second.getsockname())) for _ in range(12))):
            each.sendall(GET)
            assert read_answer(each)[1] == b"ok"
        for each in crowd:
            each.close()
        assert exchange(door.address, GET_CLOSE).endswith(b"\r\n\r\nok")


def test_a_door_without_descriptors_for_a_supervisor_waits_and_spends_nothing(tmp_path: Path) -> None:
    door = FrontDoor(tmp_path / "home", ("prlimit", "--nofile=40:40"))
    links = []
    try:
        links = [link.connect(door.home) for _ in range(50)]
        wait_for_rest(door.pid, for_s=0.5, at_most_ns=100_000_000)
        for one in links:
            one.close()
        door.link.close()
        door.link = link.connect(door.home)
        assert door.ask({"do": "status"}).ok
    finally:
        for one in links:
            one.close()
        door.close()


def test_the_door_is_small_and_sleeps_when_nothing_happens(door: FrontDoor, recorder: Recorder) -> None:
    for _ in range(50):
        assert exchange(door.address, GET_CLOSE).endswith(b"\r\n\r\nok")
    assert door.memory_bytes() < 15_000_000
    assert door.status()["connections"] == 0
    wait_for_rest(door.pid, for_s=0.5)
