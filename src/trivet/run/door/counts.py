"""What the front door has counted: connections, requests, and where they went."""

from collections.abc import Mapping
from typing import Any

from trivet.errors import SupervisorUnreachable
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.run.door import link


@frozen
class BackendCounts:
    """A process that requests go, or went, to. `requests`: sent there since the door has known it."""

    process: str
    release: int
    port: int
    requests: int
    in_flight: int


@frozen
class DeployCounts:
    """A deploy. `requests` came in, `refused` were answered by the door itself, since it runs; `held` wait now."""

    connections: int
    requests: int
    held: int
    refused: int
    backends: tuple[BackendCounts, ...]

    @property
    def in_flight(self) -> int:
        return sum(backend.in_flight for backend in self.backends)


@frozen
class DoorCounts:
    """The door's process, and the deploys ("shop/production") that are reached through it."""

    pid: int
    deploys: Mapping[str, DeployCounts]


def ask_counts(home: Home) -> DoorCounts | None:
    """What the front door of this home has counted; None if none answers."""
    try:
        door = link.connect(home)
    except SupervisorUnreachable:
        return None
    try:
        answer = door.ask(STATUS)
        return parse_counts(answer.data) if answer.ok else None
    except SupervisorUnreachable:
        return None
    finally:
        door.close()


STATUS = {"do": "status"}


def parse_counts(answer: Mapping[str, Any]) -> DoorCounts:
    """What the door's answer to STATUS says; what a door of another version does not count is 0."""
    return DoorCounts(int(answer["pid"]), {name: _deploy(told) for name, told in answer["deploys"].items()})


def _deploy(told: Mapping[str, Any]) -> DeployCounts:
    return DeployCounts(
        int(told["connections"]),
        int(told["requests"]),
        int(told["held"]),
        int(told.get("refused", 0)),
        tuple(map(_backend, told["backends"])),
    )


def _backend(told: Mapping[str, Any]) -> BackendCounts:
    return BackendCounts(
        str(told["process"]),
        int(told["release"]),
        int(told["port"]),
        int(told.get("requests", 0)),
        int(told["in_flight"]),
    )
