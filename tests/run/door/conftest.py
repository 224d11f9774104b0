"""A front door for each test, and backends that are closed afterwards."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.door import FrontDoor
from support.wire import Backend, Recorder


@pytest.fixture
def door(tmp_path: Path) -> Iterator[FrontDoor]:
    """A running door whose deploy has a listening socket and no backend; it must still run when the test ends."""
    door = FrontDoor(tmp_path / "home")
    yield door
    alive, log = door.is_alive, door.log
    door.close()
    assert alive, "the front door died"
    assert log == ""


@pytest.fixture
def serve() -> Iterator[Callable[..., Backend]]:
    """`serve(handler)` starts a backend that calls the handler for each connection."""
    backends: list[Backend] = []

    def start(handler: Callable[[socket.socket], None], port: int = 0) -> Backend:
        backends.append(Backend(handler, port))
        return backends[-1]

    yield start
    for backend in backends:
        backend.close()


@pytest.fixture
def recorder(door: FrontDoor, serve: Callable[..., Backend]) -> Recorder:
    """What the backend behind the door received."""
    recorder = Recorder()
    door.route(serve(recorder).port)
    return recorder
