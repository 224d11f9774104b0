"""The control socket: one request a connection, as a JSON line; then events, one a line, and one answer.

    {"do": "roll_out", "deploy": "shop/production", …}
    {"event": "ready", "facts": {…}}
    {"ok": true, "result": …}   or   {"ok": false, "error": {"kind", "message", "hint", "detail"}}

Only the user who runs the supervisor (and root) is listened to, and no app: the key comes with the request
(host/key.py). A client that goes away ends nothing.
"""

import json
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trivet.errors import TrivetError
from trivet.host.key import Guard, make_key
from trivet.host.sockets import listen_unix, receive, send_line
from trivet.model.document import to_json
from trivet.model.home import Home
from trivet.run.supervisor.launch import socket_path
from trivet.run.supervisor.loop import Loop

_LONGEST_REQUEST_BYTES = 65536
_SENT_WITHIN_S = 2.0  # a client that does not read must not hold up everybody's processes
_MOST_STRANGERS = 32  # connected, and silent so far
ASKS_WITHIN_S = 5.0
_PAUSE_S = 0.2  # a socket that cannot be accepted from stays readable

Serve = Callable[["Client", Mapping[str, Any]], None]


class Client:
    """One connection with one request."""

    def __init__(self, loop: Loop, connection: socket.socket, control: "Control") -> None:
        self._loop = loop
        self._connection = connection
        self._control = control
        self._data = b""
        self._patience = loop.after(ASKS_WITHIN_S, self.leave)
        loop.watch(connection.fileno(), self._on_bytes)

    def report(self, event: str, facts: Mapping[str, object]) -> None:
        """The client is told of an event, if it is still there."""
        self._send({"event": event, "facts": facts})

    def done(self, result: object) -> None:
        """The client has its answer, and the connection ends."""
        self._send({"ok": True, "result": to_json(result)})
        self.leave()

    def refused(self, error: TrivetError) -> None:
        """The client is told what went wrong, and the connection ends."""
        told = {"kind": type(error).__name__, "message": error.message, "hint": error.hint, "detail": error.detail}
        self._send({"ok": False, "error": told})
        self.leave()

    def part(self) -> socket.socket:
        """The connection, which is the caller's from here on."""
        self._control.forget(self)
        self._loop.forget(self._connection.fileno())
        return self._connection

    def leave(self) -> None:
        """The connection is closed."""
        self._control.forget(self)
        self._patience.cancel()
        if self._connection.fileno() >= 0:
            self._loop.forget(self._connection.fileno())
            self._connection.close()

    def _on_bytes(self) -> None:
        try:
            data, descriptors = receive(self._connection)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", ()
        is_welcome = bool(data) and self._control.admits(self, self._connection, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        self._data += data
        line, newline, _ = self._data.partition(b"\n")
        if not is_welcome or len(self._data) > _LONGEST_REQUEST_BYTES:
            self.leave()
        elif newline:
            self._data = b""
            self._on_line(line)

    def _on_line(self, line: bytes) -> None:
        self._patience.cancel()
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        if isinstance(request, dict):
            self._loop.watch(self._connection.fileno(), self._on_more)
            self._control.serve(self, request)
        else:
            self.leave()

    def _on_more(self) -> None:
        """After its request a client says nothing: it is going away."""
        self.leave()

    def _send(self, message: Mapping[str, object]) -> None:
        if self._connection.fileno() < 0:
            return
        try:
            self._connection.settimeout(_SENT_WITHIN_S)
            send_line(self._connection, json.dumps(message).encode())
        except OSError:
            self.leave()


class Control:
    """Listens for clients of our own user; on a socket that another supervisor has passed on, if it has."""

    def __init__(self, home: Home, loop: Loop, serve: Serve, listener: socket.socket | None = None) -> None:
        self._loop = loop
        self.serve = serve
        make_key(home.supervisor)
        self._guard = Guard(home.supervisor, lambda line: print(f"trivet: {line}", file=sys.stderr))
        self._strangers: dict[Client, None] = {}
        self._listener = listener or listen_unix(socket_path(home))
        self._is_refused = False
        self._listen()

    def close(self) -> None:
        """Nobody is listened to."""
        self._loop.forget(self._listener.fileno())
        self._listener.close()

    def part(self) -> socket.socket:
        """The socket, which is the caller's from here on: whoever connects to it waits for the next one to listen."""
        self._loop.forget(self._listener.fileno())
        for client in tuple(self._strangers):
            client.leave()
        return self._listener

    def admits(self, client: Client, connection: socket.socket, descriptors: Sequence[int]) -> bool:
        """Whether the client may command us: it has shown the key, which comes with the first byte."""
        if client in self._strangers and self._guard.admits(connection, descriptors):
            self.forget(client)
        return client not in self._strangers

    def forget(self, client: Client) -> None:
        """The client is no stranger any more."""
        self._strangers.pop(client, None)

    def _on_client(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            self._pause(error)
            return
        self._is_refused = False
        connection.settimeout(0)
        self._strangers[Client(self._loop, connection, self)] = None
        if len(self._strangers) > _MOST_STRANGERS:
            next(iter(self._strangers)).leave()

    def _listen(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.watch(self._listener.fileno(), self._on_client)

    def _pause(self, error: OSError) -> None:
        if not self._is_refused:
            self._is_refused = True
            sys.stderr.write(f"trivet: no client can be let in: {error.strerror}; trying again\n")
        self._loop.forget(self._listener.fileno())
        self._loop.after(_PAUSE_S, self._listen)
