"""The door reaches a process by the Unix socket that it is told, and by nothing else that lies at its path."""

import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.command import eventually
from support.door import DEPLOY, FrontDoor
from support.wire import DEADLINE_S, OK, exchange, read_until
from trivet.host.sockets import reach_unix

GET_CLOSE = b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for a socket in it."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


@contextmanager
def listening(path: Path, backlog: int = 16) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(backlog)
        listener.settimeout(DEADLINE_S)
        yield listener


def answer(listener: socket.socket, name: bytes) -> None:
    """One request is answered with this name."""
    connection, _ = listener.accept()
    with connection:
        read_until(connection, b"\r\n\r\n")
        connection.sendall(OK.replace(b"ok", name))


def route(door: FrontDoor, path: Path) -> None:
    backend = {"process": "web.1", "release": 1, "port": 20001, "socket": str(path)}
    assert door.ask({"do": "route", "deploy": DEPLOY, "backends": [backend]}).ok


def asked(door: FrontDoor, listener: socket.socket, name: bytes) -> bytes:
    """What a client is answered while this listener answers."""
    thread = threading.Thread(target=answer, args=(listener, name))
    thread.start()
    got = exchange(door.address, GET_CLOSE)
    thread.join(DEADLINE_S)
    return got


def test_a_process_that_comes_back_with_another_socket_is_reached_there(door: FrontDoor, folder: Path) -> None:
    with listening(folder / "a") as first, listening(folder / "b") as second:
        route(door, folder / "a")
        assert asked(door, first, b"a1").endswith(b"a1")
        route(door, folder / "b")
        assert asked(door, second, b"b1").endswith(b"b1")
        assert [each["socket"] for each in door.status()["backends"]] == [str(folder / "b")]


def test_a_new_front_door_is_told_the_socket_by_the_old_one(door: FrontDoor, folder: Path) -> None:
    with listening(folder / "a") as listener:
        route(door, folder / "a")
        assert door.upgrade().wait(DEADLINE_S) == 0
        assert asked(door, listener, b"a2").endswith(b"a2")


def test_what_asks_while_the_sockets_queue_is_full_is_held_and_answered(door: FrontDoor, folder: Path) -> None:
    with listening(folder / "a", backlog=0) as listener, socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(folder / "a"))  # fills the queue
        route(door, folder / "a")
        got: list[bytes] = []
        thread = threading.Thread(target=lambda: got.append(exchange(door.address, GET_CLOSE)))
        thread.start()
        eventually(lambda: door.status()["held"] == 1, what="a held request")
        listener.accept()[0].close()
        answer(listener, b"l8")
        thread.join(DEADLINE_S)
    assert got[0].endswith(b"l8")


def test_a_link_is_not_followed(folder: Path) -> None:
    with listening(folder / "real"):
        (folder / "link").symlink_to(folder / "real")
        with pytest.raises(ConnectionRefusedError):
            reach_unix(folder / "link")
        reach_unix(folder / "real").close()


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a folder somebody else's; CI runs as root")
def test_in_a_folder_of_another_user_only_that_users_socket_is_reached(folder: Path) -> None:
    theirs = folder / "theirs"
    theirs.mkdir()
    with listening(folder / "ours"), listening(theirs / "own"):
        (theirs / "borrowed").hardlink_to(folder / "ours")
        os.chown(theirs, 65534, 65534)
        os.chown(theirs / "own", 65534, 65534)
        with pytest.raises(ConnectionRefusedError):
            reach_unix(theirs / "borrowed")
        reach_unix(theirs / "own").close()
