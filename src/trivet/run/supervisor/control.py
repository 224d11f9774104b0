"""The control socket: one request a connection, as a JSON line; then events, one a line, and one answer.

    {"do": "roll_out", "deploy": "shop/production", …}
    {"event": "ready", "facts": {…}}
    {"ok": true, "result": …}   or   {"ok": false, "error": {"kind", "message", "hint", "detail"}}

Only the user who runs the supervisor (and root) is listened to, and no app. A client that goes away ends nothing.
"""

import json
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

from trivet.errors import TrivetError
from trivet.host.sockets import is_trusted, listen_unix, receive, send_line
from trivet.model.document import to_json
from trivet.model.home import Home
from trivet.run.supervisor.launch import socket_path
from trivet.run.supervisor.loop import Loop

_LONGEST_REQUEST_BYTES = 65536
_SENT_WITHIN_S = 2.0  # a client that does not read must not hold up everybody's processes

Serve = Callable[["Client", Mapping[str, Any]], None]


class Client:
    """One connection with one request."""

    def __init__(self, loop: Loop, connection: socket.socket, serve: Serve) -> None:
        self._loop = loop
        self._connection = connection
        self._serve = serve
        self._data = b""
        loop.watch(connection.fileno(), self._on_bytes)

    def report(self, event: str, facts: Mapping[str, object]) -> None:
        """The client is told of an event, if it is still there."""
        self._send({"event": event, "facts": facts})

    def done(self, result: object) -> None:
        """The client has its answer, and the connection ends."""
        self._send({"ok": True, "result": to_json(result)})
        self._close()

    def refused(self, error: TrivetError) -> None:
        """The client is told what went wrong, and the connection ends."""
        told = {"kind": type(error).__name__, "message": error.message, "hint": error.hint, "detail": error.detail}
        self._send({"ok": False, "error": told})
        self._close()

    def _on_bytes(self) -> None:
        try:
            data, descriptors = receive(self._connection)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", ()
        for descriptor in descriptors:
            os.close(descriptor)
        self._data += data
        line, newline, _ = self._data.partition(b"\n")
        if not data or len(self._data) > _LONGEST_REQUEST_BYTES:
            self._close()
        elif newline:
            self._data = b""
            self._loop.watch(self._connection.fileno(), self._on_more)
            self._serve(self, json.loads(line))

    def _on_more(self) -> None:
        """After its request a client says nothing: it is going away."""
        self._close()

    def _send(self, message: Mapping[str, object]) -> None:
        if self._connection.fileno() < 0:
            return
        try:
            self._connection.settimeout(_SENT_WITHIN_S)
            send_line(self._connection, json.dumps(message).encode())
        except OSError:
            self._close()

    def _close(self) -> None:
        if self._connection.fileno() >= 0:
            self._loop.forget(self._connection.fileno())
            self._connection.close()


class Control:
    """Listens for clients of our own user."""

    def __init__(self, home: Home, loop: Loop, serve: Serve) -> None:
        self._loop = loop
        self._serve = serve
        self._listener = listen_unix(socket_path(home))
        loop.watch(self._listener.fileno(), self._on_client)

    def close(self) -> None:
        """Nobody is listened to."""
        self._loop.forget(self._listener.fileno())
        self._listener.close()

    def _on_client(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if is_trusted(connection):
            connection.settimeout(0)
            Client(self._loop, connection, self._serve)
        else:
            connection.close()
