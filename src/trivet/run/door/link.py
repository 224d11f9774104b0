"""The supervisor's end of the front door's control socket: requests and answers as JSON lines, events in between.

Whoever connects sends an empty line first, with the key (host/key.py); without it, it is sent away.

Requests (`ask`), each with the answer's fields beside "ok":

    {"do": "open", "deploy": D, "host": H, "port": P} + the listening socket
    {"do": "route", "deploy": D, "backends": [{"process": "web.1", "release": 12, "port": 20001}, …], "stopped": false,
     "proxied": true}                               (left out: false; true: connections begin with the PROXY protocol)
                                                     with "host": where the backends are reached, if not at 127.0.0.1;
                                                     a backend with "socket": PATH is reached there, its port is its name
    {"do": "cut", "deploy": D, "port": 20000}       → "drained", "cut": as in the event below
    {"do": "close", "deploy": D}                    with "host" and "port": that one address only
    {"do": "listeners"}                             → "doors": [{"deploy", "host", "port"}, …] + sockets in this order
    {"do": "keep", "deploy": D, "host": H, "port": P, "names": [N, …], "new": [N, …]} + the new sockets, in this order
                                                    held, not accepted from; those of this address not in names are let go
    {"do": "kept", "from": 0}                       → "sockets": [{"deploy", "host", "port", "name", "held"}, …] + those held,
                                                    at most 100 from this one on; "count": of all
    {"do": "status"}                                → "version", "connections", "requests", "deploys": {D: {…}}
    {"do": "end"}                                   the front door answers, then ends

A new door asks the old one (`predecessor.py`, `handover.py`):

    {"do": "hand_over"}                             → "doors", "routes" + the lock and the listening sockets; the old
                                                      one accepts nothing and answers nobody else until it is told more
    {"do": "ready", "grace_s": 3600}                the new one is the door; all other links to the old one are closed
    {"do": "took", "count": 99}                     so many of the last "clients" came with their descriptors

Event: {"event": "clients", "clients": [{"deploy", "peer", "left_s"}, …]} + one descriptor each: connections at rest.

Event: {"event": "idle", "deploy": D, "port": 20000, "drained": 3, "cut": 1}: a backend that is no longer routed to has no
request any more; of those in flight when it began to leave so many ended well, and so many were cut off (by "cut", or by
its end). It comes once for every backend that leaves, after the answer to the request that made it leave.
"""

import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

from trivet.errors import SupervisorUnreachable
from trivet.host.key import take_key
from trivet.host.sockets import connect_unix, receive, send_line
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.run.door.launch import socket_path

_ANSWER_WITHIN_S = 5.0


@frozen
class Answer:
    """What the front door said, and the descriptors that came along: they belong to whoever asked."""

    data: Mapping[str, Any]
    fds: tuple[int, ...] = ()

    @property
    def ok(self) -> bool:
        return self.data.get("ok") is True


class DoorLink:
    """One connection to a living front door."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = bytearray()
        self._fds: list[int] = []
        self._events: list[Mapping[str, Any]] = []
        self._ended = False

    def fileno(self) -> int:
        """The descriptor that becomes readable when an event has come, or when the front door is gone."""
        return self._connection.fileno()

    @property
    def ended(self) -> bool:
        """Whether the front door has closed the connection; seen by `events` and `ask`."""
        return self._ended

    def ask(self, request: Mapping[str, Any], fds: Sequence[int] = ()) -> Answer:
        """The answer to this request, waited for at most 5 s; events that come meanwhile are kept for `events`.

        The descriptors given stay open here. Raises: SupervisorUnreachable; then the link is of no more use.
        """
        deadline = time.monotonic() + _ANSWER_WITHIN_S
        try:
            self._connection.settimeout(_ANSWER_WITHIN_S)
            send_line(self._connection, json.dumps(request).encode(), fds)
            while (answer := self._take_answer()) is None:
                self._connection.settimeout(max(deadline - time.monotonic(), 0.001))
                self._read()
        except OSError as error:
            self._ended = True
            raise _unreachable(str(error) or type(error).__name__) from error
        return answer

    def send(self, request: Mapping[str, Any], within_s: float) -> None:
        """The request is on its way; `take_answer` gives the answer. Raises: SupervisorUnreachable."""
        try:
            self._connection.settimeout(within_s)
            send_line(self._connection, json.dumps(request).encode())
        except OSError as error:
            self._ended = True
            raise _unreachable(str(error) or type(error).__name__) from error

    def take_answer(self) -> Answer | None:
        """The answer, if it has come; never waits. Call it whenever `fileno` is readable."""
        self._read_all()
        return self._take_answer()

    def events(self) -> list[Mapping[str, Any]]:
        """The events that have come and were not taken yet; never waits. Call it whenever `fileno` is readable."""
        self._read_all()
        self._take_answer()
        taken, self._events = self._events, []
        return taken

    def has_events(self) -> bool:
        """Whether events came while `ask` waited: `fileno` does not become readable for these."""
        return bool(self._events)

    def close(self) -> None:
        """The connection is closed; the front door goes on."""
        self._connection.close()

    def _read_all(self) -> None:
        self._connection.settimeout(0)
        try:
            while not self._ended:
                self._read()
        except BlockingIOError:
            pass
        except OSError:
            self._ended = True

    def _read(self) -> None:
        data, fds = receive(self._connection)
        self._fds += fds
        self._lines += data
        if not data:
            self._ended = True
            raise ConnectionResetError("it closed the connection")

    def _take_answer(self) -> Answer | None:
        while (end := self._lines.find(b"\n")) >= 0:
            message = json.loads(self._lines[:end])
            del self._lines[: end + 1]
            if "event" not in message:
                fds, self._fds = tuple(self._fds), []
                return Answer(message, fds)
            self._events.append(message)
        return None


def connect(home: Home, within_s: float = _ANSWER_WITHIN_S) -> DoorLink:
    """A link to the front door of this home. Raises: SupervisorUnreachable when none is running."""
    try:
        connection = connect_unix(socket_path(home), within_s)
        try:
            _show_key(home, connection)
        except OSError:
            connection.close()
            raise
    except OSError as error:
        raise _unreachable(error.strerror or str(error)) from error
    return DoorLink(connection)


def _show_key(home: Home, connection: socket.socket) -> None:
    key = take_key(home.supervisor)
    try:
        send_line(connection, b"", (key,))
    finally:
        os.close(key)


def _unreachable(why: str) -> SupervisorUnreachable:
    return SupervisorUnreachable(
        f"The front door does not answer: {why}.",
        hint="The supervisor starts it again; `trivet up` starts the supervisor.",
    )
