"""The door's program is replaced while it is open: by its sockets, and without a client noticing."""

import contextlib
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import trivet
from run.door.test_switch import Load, Release
from support.command import eventually
from support.door import FrontDoor
from support.wire import DEADLINE_S, OK, Backend, Recorder, connect, exchange, read_answer, read_until
from trivet.host.processes import open_sockets

Serve = Callable[..., Backend]

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
GET_CLOSE = b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"


class Slow:
    """Answers `name` when it is told to."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.asked = threading.Semaphore(0)
        self.may_answer = threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        read_until(connection, b"\r\n\r\n")
        self.asked.release()
        self.may_answer.wait(DEADLINE_S)
        connection.sendall(OK.replace(b"ok", self.name))


def _ended(process: "subprocess.Popen[bytes]") -> int:
    return process.wait(DEADLINE_S)


def test_idle_connections_and_the_listening_socket_go_over_and_the_old_door_ends(
    door: FrontDoor, recorder: Recorder
) -> None:
    clients = [connect(door.address) for _ in range(250)]
    for client in clients[:200]:  # the others have said nothing so far
        client.sendall(GET)
        assert read_answer(client)[1] == b"ok"
    before = door.pid
    assert _ended(door.upgrade()) == 0
    assert door.pid != before
    assert door.ask({"do": "status"}).data["version"] == "2"
    assert door.status()["connections"] == 250
    for client in clients:
        client.sendall(GET)
        assert read_answer(client)[1] == b"ok"
        client.close()
    assert exchange(door.address, GET_CLOSE).endswith(b"\r\n\r\nok")
    assert len(door.ask({"do": "listeners"}).data["doors"]) == 1


def test_what_is_under_way_is_answered_by_the_old_door_and_then_its_connection_goes_over(
    door: FrontDoor, serve: Serve
) -> None:
    slow = Slow(b"v1")
    door.route(serve(slow).port)
    with connect(door.address) as client, connect(door.address) as half:
        client.sendall(GET)
        half.sendall(GET[:20])
        assert slow.asked.acquire(timeout=DEADLINE_S)
        old = door.upgrade()
        assert old.poll() is None
        assert door.in_flight() == 1
        assert door.ask({"do": "status"}).data["predecessor"] == {"pid": old.pid, "connections": 2}
        slow.may_answer.set()
        assert read_answer(client)[1] == b"v1"
        half.sendall(GET[20:])
        assert read_answer(half)[1] == b"v1"
        assert _ended(old) == 0
        for each in (client, half):
            each.sendall(GET)
            assert read_answer(each)[1] == b"v1"
        assert "predecessor" not in door.ask({"do": "status"}).data


def test_a_backend_that_the_old_door_still_works_with_is_not_idle(door: FrontDoor, serve: Serve) -> None:
    slow = Slow(b"v1")
    old_port, new_port = serve(slow).port, serve(Recorder(OK.replace(b"ok", b"v2"))).port
    door.route(old_port, release=1)
    with connect(door.address) as client, connect(door.address) as other:
        client.sendall(GET)
        assert slow.asked.acquire(timeout=DEADLINE_S)
        old = door.upgrade()
        door.route(new_port, release=2)
        other.sendall(GET)
        assert read_answer(other)[1] == b"v2"
        assert door.link.events() == []
        assert [(each["port"], each["leaving"]) for each in door.status()["backends"]] == [
            (new_port, False),
            (old_port, True),
        ]
        slow.may_answer.set()
        door.wait_for_idle(old_port)
        assert read_answer(client)[1] == b"v1"
        assert _ended(old) == 0
        client.sendall(GET)
        assert read_answer(client)[1] == b"v2"


def test_a_backend_that_neither_door_works_with_is_idle_at_once(door: FrontDoor, serve: Serve) -> None:
    slow = Slow(b"v1")
    busy_port, idle_port, new_port = serve(slow).port, serve(Recorder()).port, serve(Recorder()).port
    door.route(busy_port, release=1)
    with connect(door.address) as client:
        client.sendall(GET)
        assert slow.asked.acquire(timeout=DEADLINE_S)
        door.route(busy_port, idle_port, release=1)
        old = door.upgrade()
        door.route(busy_port, new_port, release=1)
        door.wait_for_idle(idle_port)
        door.route(new_port)
        assert busy_port not in {event["port"] for event in door.link.events()}
        assert old.poll() is None
        slow.may_answer.set()
        door.wait_for_idle(busy_port)
    assert _ended(old) == 0


def test_what_both_doors_have_under_way_is_cut_together_and_counted(door: FrontDoor, serve: Serve) -> None:
    slow = Slow(b"v1")
    old_port = serve(slow).port
    door.route(old_port)
    with connect(door.address) as first, connect(door.address) as second:
        first.sendall(GET)
        assert slow.asked.acquire(timeout=DEADLINE_S)
        old = door.upgrade()
        second.sendall(GET)
        assert slow.asked.acquire(timeout=DEADLINE_S)
        door.route(serve(Recorder()).port, release=2)
        assert door.ask({"do": "cut", "deploy": "shop/production", "port": old_port}).data["cut"] == 2
        door.wait_for_idle(old_port)
        assert _ended(old) == 0
        slow.may_answer.set()


def test_a_door_that_is_replaced_twice_while_a_request_is_under_way_still_answers_it(
    door: FrontDoor, serve: Serve
) -> None:
    slow = Slow(b"v1")
    port = serve(slow).port
    door.route(port)
    with connect(door.address) as client:
        client.sendall(GET)
        assert slow.asked.acquire(timeout=DEADLINE_S)
        first = door.upgrade("2")
        second = door.upgrade("3")
        door.route(serve(Recorder(OK.replace(b"ok", b"v2"))).port, release=2)
        assert door.in_flight() == 1
        assert (first.poll(), second.poll(), door.link.events()) == (None, None, [])
        slow.may_answer.set()
        door.wait_for_idle(port)
        assert read_answer(client)[1] == b"v1"
        assert (_ended(first), _ended(second)) == (0, 0)
        client.sendall(GET)
        assert read_answer(client)[1] == b"v2"


def test_sockets_that_are_held_for_processes_go_over_and_are_let_go_by_both(door: FrontDoor, serve: Serve) -> None:
    slow = Slow(b"v1")
    door.route(serve(slow).port)
    place = {"deploy": "shop/production", "host": "127.0.0.1", "port": 5}
    with connect(door.address) as client, socket.create_server(("127.0.0.1", 0)) as held:
        client.sendall(GET)
        assert slow.asked.acquire(timeout=DEADLINE_S)
        names = ["", *(f"v1.web.{number}" for number in range(1, 121))]
        door.ask({"do": "keep", **place, "names": names[:100], "new": names[1:100]}, [held.fileno()] * 99)
        door.ask({"do": "keep", **place, "names": names, "new": names[100:]}, [held.fileno()] * 21)
        old = door.upgrade()
        pages = [door.ask({"do": "kept", "from": start}) for start in (0, 100)]
        found = [entry for page in pages for entry in page.data["sockets"]]
        assert found == [{**place, "name": name, "held": name != ""} for name in names]
        for descriptor in (descriptor for page in pages for descriptor in page.fds):
            with socket.socket(fileno=descriptor) as handed_on:
                assert handed_on.getsockname() == held.getsockname()
        address = held.getsockname()
        held.close()
        connect(address).close()
        door.ask({"do": "keep", **place, "names": [], "new": []})
        with pytest.raises(ConnectionRefusedError):
            connect(address)
        assert old.poll() is None
        slow.may_answer.set()
        assert read_answer(client)[1] == b"v1"
    assert _ended(old) == 0


def test_a_connection_that_has_not_said_whose_it_is_stays_until_it_has(door: FrontDoor, recorder: Recorder) -> None:
    backend = {"process": "web.1", "release": 1, "port": door.status()["backends"][0]["port"]}
    route = {"do": "route", "deploy": "shop/production", "backends": [backend], "proxied": True}
    assert door.ask(route).ok
    header = b"PROXY TCP4 192.0.2.7 192.0.2.1 5 80\r\n"
    with connect(door.address) as client, connect(door.address) as gone:
        client.sendall(header[:9])
        gone.sendall(header[:9])
        door.ask({"do": "status"})  # both were let in before this was asked
        old = door.upgrade()
        assert old.poll() is None
        gone.close()
        client.sendall(header[9:] + GET)
        assert read_answer(client)[1] == b"ok"
        assert _ended(old) == 0
        client.sendall(GET)
        assert read_answer(client)[1] == b"ok"
        assert b"X-Forwarded-For: 192.0.2.7\r\n" in recorder.requests[-1]


def test_no_request_is_lost_while_the_door_is_replaced_under_load(door: FrontDoor) -> None:
    first, second = Release("polite", 1), Release("polite", 2)
    door.route(first.port, release=1)
    load = Load(door.address)
    olds = []
    try:
        for turn in range(6):
            load.wait_for(b"v1", 200)
            olds.append(door.upgrade(str(turn)))
            if turn == 4:  # a switch of releases while there are two doors
                door.route(second.port, release=2)
                door.wait_for_idle(first.port)
                first.end()
                break
        load.wait_for(b"v2", 200)
    finally:
        load.stop()
        second.end()
        first.end()
    assert load.failures == []
    assert [_ended(old) for old in olds] == [0] * 5


HEIR = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from trivet.run.door.predecessor import Predecessor
from trivet.run.door.door import Door
from trivet.run.door.listener import Room
from trivet.run.door.loop import Loop
import trivet.run.door.predecessor as told
old = Predecessor(Path(sys.argv[1]))
answer, fds = old.inherit()
if len(sys.argv) > 3:
    from trivet.host.sockets import listen_unix
    listening = listen_unix(Path(sys.argv[1]) / "door.sock")
    told.GRACE_S = int(sys.argv[3])
    old.relieve(Loop(print), Door(Loop(print), Room(9, print), print))
print(len(fds), flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def _heir(door: FrontDoor, *grace: str) -> Iterator["subprocess.Popen[bytes]"]:
    """One that has asked for the door, and with a grace time has taken it over; it does nothing with it, and ends."""
    source = Path(trivet.__file__).parent.parent
    argv = (sys.executable, "-I", "-S", "-c", HEIR, str(door.home.supervisor), str(source), *grace)
    with door.start_heir(arguments=argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as heir:
        assert heir.stdout is not None
        assert heir.stdout.readline() == b"2\n"  # the lock and one listening socket
        yield heir
        heir.kill()


@pytest.fixture
def told(tmp_path: Path) -> Iterator[FrontDoor]:
    """A door that may have something to tell in its log."""
    door = FrontDoor(tmp_path / "home")
    yield door
    door.close()


def test_a_new_door_without_descriptors_is_given_what_it_can_take_and_the_rest_later(
    told: FrontDoor, serve: Serve
) -> None:
    told.route(serve(Recorder()).port)
    clients = [connect(told.address) for _ in range(60)]
    for client in clients:
        client.sendall(GET)
        assert read_answer(client)[1] == b"ok"
    old = told.upgrade(arguments=("prlimit", "--nofile=128:128"))
    eventually(lambda: told.ask({"do": "status"}).data["predecessor"]["connections"] == 28)
    assert old.poll() is None
    for client in clients:
        client.close()
    assert _ended(old) == 0
    assert exchange(told.address, GET_CLOSE).endswith(b"\r\n\r\nok")


def test_a_new_door_whose_code_is_broken_changes_nothing(told: FrontDoor, serve: Serve, tmp_path: Path) -> None:
    told.route(serve(Recorder()).port)
    copy = tmp_path / "trivet"
    shutil.copytree(Path(trivet.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "run" / "door" / "handover.py").write_text("broken = True\n")
    with connect(told.address) as client:
        argv = (sys.executable, "-I", "-S", "-OO", copy / "run" / "door" / "__main__.py", told.home.supervisor)
        with told.start_heir(arguments=(*argv, "2", "--beside"), stderr=subprocess.DEVNULL) as heir:
            assert _ended(heir) == 1
        client.sendall(GET)
        assert read_answer(client)[1] == b"ok"
    assert exchange(told.address, GET_CLOSE).endswith(b"\r\n\r\nok")
    assert told.status()["connections"] == 0


def test_a_new_door_that_ends_before_it_is_ready_changes_nothing(told: FrontDoor, serve: Serve) -> None:
    told.route(serve(Recorder()).port)
    with connect(told.address) as client, _heir(told) as heir, connect(told.address) as other:
        client.sendall(GET)
        assert read_answer(client)[1] == b"ok"
        other.sendall(GET)  # nobody lets it in, for the moment
        heir.kill()
        assert read_answer(other)[1] == b"ok"
        assert told.status()["connections"] == 2
    assert told.log.endswith("the new front door ended; the old one goes on\n")
    assert _ended(told.upgrade()) == 0


def test_a_new_door_that_hangs_before_it_is_ready_changes_nothing(told: FrontDoor, serve: Serve) -> None:
    told.route(serve(Recorder()).port)
    with _heir(told) as heir, connect(told.address) as client:
        client.sendall(GET)
        assert read_answer(client)[1] == b"ok"
        assert told.status()["connections"] == 1
        assert told.log.endswith("the new front door was not ready in time; the old one goes on\n")
        heir.kill()
        eventually(lambda: told.log.endswith("the new front door ended; the old one goes on\n"))
    assert told.status()["requests"] == 1


def _has(pid: int, client: socket.socket) -> bool:
    """Whether this process has the door's end of the connection open."""
    port = f":{client.getsockname()[1]:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return not open_sockets((pid,)).isdisjoint(fields[9] for fields in lines if fields[2].endswith(port))


def test_a_new_door_that_dies_while_the_old_one_is_still_there_is_replaced_by_that(
    told: FrontDoor, serve: Serve
) -> None:
    slow = Slow(b"v1")
    told.route(serve(slow).port)
    with connect(told.address) as client, connect(told.address) as lost:
        client.sendall(GET)
        assert slow.asked.acquire(timeout=DEADLINE_S)
        old = told.upgrade()
        eventually(lambda: told.ask({"do": "status"}).data["predecessor"]["connections"] == 1)
        eventually(
            lambda: _has(told.pid, lost) and not _has(old.pid, lost)
        )  # until it is told so, the old one keeps it, too
        told.kill()
        told.take_back(old)
        assert lost.recv(1) == b""  # as with any door that is killed
        slow.may_answer.set()
        assert read_answer(client)[1] == b"v1"
        client.sendall(GET)
        assert read_answer(client)[1] == b"v1"
        assert exchange(told.address, GET_CLOSE).endswith(b"\r\n\r\nv1")
    assert told.log.endswith("the new front door ended; the old one goes on\n")
    assert _ended(told.upgrade("3")) == 0


def test_what_takes_longer_than_the_old_door_has_time_is_cut_and_told(told: FrontDoor, serve: Serve) -> None:
    slow = Slow(b"v1")
    told.route(serve(slow).port)
    with connect(told.address) as client:
        client.sendall(GET)
        assert slow.asked.acquire(timeout=DEADLINE_S)
        with _heir(told, "1"):
            assert client.recv(1) == b""
            assert told.wait() == 0
    assert told.log.endswith(" 1 connections were cut: their time with the old front door is over\n")
    slow.may_answer.set()


def test_what_a_load_balancer_told_of_a_connection_goes_over_with_it(door: FrontDoor, serve: Serve) -> None:
    recorder = Recorder()
    backends = [{"process": "web.1", "release": 1, "port": serve(recorder).port}]
    assert door.ask({"do": "route", "deploy": "shop/production", "backends": backends, "proxied": True}).ok
    told = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x14\xcb\0\x71\7\xc0\0\2\1\0\1\0\2\x20\0\5\1\0\0\0\0"
    with connect(door.address) as client:
        client.sendall(told + GET)
        assert read_answer(client)[1] == b"ok"
        assert _ended(door.upgrade()) == 0
        client.sendall(GET)
        assert read_answer(client)[1] == b"ok"
    assert b"X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n" in recorder.requests[1]
    assert exchange(door.address, GET_CLOSE).startswith(b"HTTP/1.1 400 ")
    assert exchange(door.address, told + GET_CLOSE).endswith(b"\r\n\r\nok")
