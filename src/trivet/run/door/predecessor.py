"""The door that was there before, as its heir sees it: what it still works on, and the connections that it lets go.

To the supervisor the two are one door. What it asks of the heir is passed on (`forward`), and a backend is idle when it
is idle here and there.
"""

import contextlib
import json
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from select import EPOLLIN

from trivet.host.key import take_key
from trivet.host.sockets import connect_unix, receive, send_line
from trivet.run.door.door import Door
from trivet.run.door.loop import Loop, Watched
from trivet.run.door.parted import Parted
from trivet.run.door.request import Peer
from trivet.run.door.values import Json, many, number, text

_ANSWERS_WITHIN_S = 2.0
GRACE_S = 3600

Backend = tuple[str, int]
Counts = tuple[int, int]


class Refused(OSError):
    """The old door does not hand over."""


class Predecessor(Watched):
    """A living door that hands over. `on_idle` is told of backends (deploy, port) that are idle in both
    doors, and how many requests were drained and cut in both."""

    def __init__(self, folder: Path) -> None:
        """Raises: OSError: there is none, or it does not answer."""
        super().__init__()
        self._socket = connect_unix(folder / "door.sock", _ANSWERS_WITHIN_S)
        key = take_key(folder)
        try:
            send_line(self._socket, b"", (key,))
        finally:
            os.close(key)
        self._lines = bytearray()
        self._fds: list[int] = []
        self._awaited = 0
        self._answer: Json = {}
        self._events: deque[Json] = deque()
        self._held: set[Backend] = set()
        self._withheld: dict[Backend, Counts] = {}
        self._counted: dict[Backend, Counts] = {}
        self._loop: Loop | None = None
        self.is_gone = False
        self.on_idle: Callable[[Backend, Counts], None] = _nothing
        self.on_gone: Callable[[], None] = _nothing

    def inherit(self) -> tuple[Json, list[int]]:
        """What the old door has: its doors and routes, and the descriptors of its lock and its listening sockets.

        Raises: OSError; Refused: it does not hand over.
        """
        answer = self._ask({"do": "hand_over"}, ())
        if answer.get("ok") is not True:
            raise Refused(str(answer.get("error")))
        for route in many(answer, "routes"):
            self._held.update((str(route["deploy"]), number(backend, "port")) for backend in many(route, "backends"))
            self._held.update((str(route["deploy"]), number(leaving, "port")) for leaving in many(route, "leaving"))
        fds, self._fds = self._fds, []
        return answer, fds

    def relieve(self, loop: Loop, door: Door) -> None:
        """From here on we are the door, and what is at rest comes to us. Raises: OSError."""
        if self._ask({"do": "ready", "grace_s": GRACE_S}, ()).get("ok") is not True:
            raise Refused("it is the door again")
        self._loop, self._door = loop, door
        loop.watch(self._socket.fileno(), EPOLLIN, self)
        self._soon()

    def forward(self, request: Json, fds: Sequence[int] = ()) -> Json:
        """The old door has done the same, as far as it is still there; its answer."""
        if self.is_gone:
            return {}
        if request.get("do") == "route":
            named = {(str(request["deploy"]), number(backend, "port")) for backend in many(request, "backends")}
            self._held |= named
            for backend in named:
                self._withheld.pop(backend, None)
                self._counted.pop(backend, None)
        try:
            return self._ask(request, fds)
        except OSError:
            self._end()
            return {}

    def join(self, backend: Backend, counts: Counts) -> Counts | None:
        """What both doors drained and cut of the backend, which is idle here; None: not there, `on_idle` is told then."""
        if not self.is_gone and backend in self._held:
            self._withheld[backend] = counts
            return None
        return _add(counts, self._counted.pop(backend, (0, 0)))

    def kept(self) -> "list[tuple[tuple[str, str, int], list[str], dict[str, int]]]":
        """The sockets that the old door keeps for processes: place, names, and the descriptors of those held there."""
        places: dict[tuple[str, str, int], tuple[list[str], dict[str, int]]] = {}
        start = 0
        while True:
            answer = self._ask({"do": "kept", "from": start}, ())
            sockets, (fds, self._fds) = many(answer, "sockets"), (self._fds, [])
            for each in sockets:
                place = text(each, "deploy"), text(each, "host"), number(each, "port")
                names, held = places.setdefault(place, ([], {}))
                names.append(text(each, "name"))
                if each["held"]:
                    held[text(each, "name")] = fds.pop(0)
            start += len(sockets)
            if not sockets or start >= number(answer, "count"):
                return [(place, *found) for place, found in places.items()]

    def held(self, deploy: str) -> list[int]:
        """The ports of the deploy's backends that the old door may still work with."""
        return [] if self.is_gone else [port for name, port in self._held if name == deploy]

    def ready(self, mask: int) -> None:
        self._socket.settimeout(0)
        try:
            self._read()
        except BlockingIOError:
            return
        except OSError:
            self._end()
            return
        self._dispatch()

    def fail(self) -> None:
        """Trouble with one of its events is no trouble of the others."""

    def expire(self) -> None:
        """It has no deadline."""

    def _ask(self, request: Json, fds: Sequence[int]) -> Json:
        """The answer; events that come before it are kept. Raises: OSError, also when it takes too long."""
        self._tell(request, fds)
        deadline = time.monotonic() + _ANSWERS_WITHIN_S
        while self._awaited:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            self._read()
        self._soon()
        return self._answer

    def _tell(self, request: Json, fds: Sequence[int] = ()) -> None:
        self._socket.settimeout(_ANSWERS_WITHIN_S)
        send_line(self._socket, json.dumps(request).encode(), fds)
        self._awaited += 1

    def _read(self) -> None:
        data, fds = receive(self._socket)
        self._fds += fds
        self._lines += data
        if not data:
            raise ConnectionResetError("it has ended")
        while (end := self._lines.find(b"\n")) >= 0:
            message = dict(json.loads(self._lines[:end]))
            del self._lines[: end + 1]
            if "event" in message:
                self._events.append(message)
            else:
                self._awaited -= 1
                self._answer = message

    def _soon(self) -> None:
        if self._events and self._loop is not None:
            self._loop.call_at(self._loop.now, self._dispatch)

    def _dispatch(self) -> None:
        while self._events:
            event = self._events.popleft()
            if event["event"] == "idle":
                counts = number(event, "drained"), number(event, "cut")
                self._on_idle((text(event, "deploy"), number(event, "port")), counts)
            elif event["event"] == "clients":
                self._take_clients(many(event, "clients"))

    def _on_idle(self, backend: Backend, counts: Counts) -> None:
        self._held.discard(backend)
        if backend in self._withheld or not self._door.has_backend(*backend):
            self.on_idle(backend, _add(counts, self._withheld.pop(backend, (0, 0))))
        else:
            self._counted[backend] = counts

    def _take_clients(self, clients: list[Json]) -> None:
        """As many as there is room for: the first ones. Descriptors may be missing too, the last ones."""
        fds, self._fds = self._fds, []
        room = max(self._door.room_left, 0)
        for fd in fds[room:]:
            os.close(fd)
        del fds[room:]
        for facts, fd in zip(clients, fds, strict=False):
            left_s = facts["left_s"]
            parted = Parted(
                socket.socket(fileno=fd), Peer.from_facts(facts), left_s if isinstance(left_s, float) else 0.0
            )
            self._door.admit(str(facts["deploy"]), parted)
        try:
            self._tell({"do": "took", "count": len(fds)})
        except OSError:
            self._end()

    def _end(self) -> None:
        if self.is_gone:
            return
        self.is_gone = True
        if self._loop is not None:
            self._loop.close(self._socket)
            self._dispatch_rest()
        left, self._held = sorted(self._held), set()
        for backend in left:
            if backend in self._withheld or not self._door.has_backend(*backend):
                self.on_idle(backend, self._withheld.pop(backend, (0, 0)))
        self.on_gone()

    def _dispatch_rest(self) -> None:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            self._dispatch()


def _add(one: Counts, other: Counts) -> Counts:
    return one[0] + other[0], one[1] + other[1]


def _nothing(*_: object) -> None:
    return
