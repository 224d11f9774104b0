"""The front door's control socket: JSON lines from the supervisor, answered in order; events to all who listen.

The protocol is written down in `link.py`.
"""

import json
import os
import socket
from collections.abc import Callable, Sequence
from select import EPOLLIN, EPOLLOUT

from trivet.host.key import Guard
from trivet.host.sockets import receive
from trivet.run.door.loop import Loop, Watched

_LONGEST_LINE = 1 << 20
_MOST_UNSENT = 1 << 20
_MOST_STRANGERS = 32  # connected, and silent so far
_PAUSE_S = 0.1

Json = dict[str, object]
Answer = tuple[Json, Sequence[int]]


class Control(Watched):
    """The listening control socket and the supervisors connected to it; the guard tells who is one.

    `handle(request, descriptors)` gives the answer and descriptors to send along; `after(request)` is called once the
    answer is on its way.
    """

    def __init__(
        self,
        loop: Loop,
        entrance: tuple[socket.socket, Guard],
        handle: Callable[[Json, list[int]], Answer],
        after: Callable[[Json], None],
    ) -> None:
        super().__init__()
        self._loop = loop
        self._listening, self._guard = entrance
        self._handle = handle
        self._after = after
        self._strangers: dict[Connection, None] = {}
        self._connections: set[Connection] = set()
        self._resume()

    def ready(self, mask: int) -> None:
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:  # descriptors are short: the socket stays readable, and would keep us busy with nothing
            self._loop.forget(self._listening.fileno())
            self._loop.call_at(self._loop.now + _PAUSE_S, self._resume)
            return
        connection.settimeout(0)
        self._strangers[Connection(self._loop, self, connection)] = None
        if len(self._strangers) > _MOST_STRANGERS:
            next(iter(self._strangers)).fail()

    def fail(self) -> None:
        """An error while accepting concerns that connection; the socket stays open."""

    def expire(self) -> None:
        """It has no deadline."""

    def emit(self, event: Json) -> None:
        """Every connected supervisor is sent the event."""
        for connection in list(self._connections):
            connection.send(event, ())

    def answer(self, connection: "Connection", line: bytes, fds: list[int]) -> None:
        """The request on this line is carried out and answered."""
        try:
            request = dict(json.loads(line))
            answer, descriptors = self._handle(request, fds)
        except (ValueError, TypeError, KeyError, IndexError, OSError) as error:
            connection.send({"ok": False, "error": f"{type(error).__name__}: {error}"}, ())
            return
        connection.send({"ok": True, **answer}, descriptors)
        self._after(request)

    def admits(self, connection: "Connection", peer: socket.socket, fds: list[int]) -> bool:
        """Whether the connection is a supervisor's: the key, which came with its first byte, is taken off `fds`."""
        if connection in self._connections:
            return True
        if not self._guard.admits(peer, fds):
            return False
        os.close(fds.pop(0))
        del self._strangers[connection]
        self._connections.add(connection)
        return True

    def leave(self, connection: "Connection") -> None:
        """The connection is closed."""
        self._strangers.pop(connection, None)
        self._connections.discard(connection)

    def _resume(self) -> None:
        self._loop.watch(self._listening.fileno(), EPOLLIN, self)


class Connection(Watched):
    """One supervisor, or a stranger until its first byte has come."""

    def __init__(self, loop: Loop, control: Control, connection: socket.socket) -> None:
        super().__init__()
        self._loop = loop
        self._control = control
        self._socket = connection
        self._lines = bytearray()
        self._fds: list[int] = []
        self._unsent = bytearray()
        self._is_open = True
        loop.watch(connection.fileno(), EPOLLIN, self)

    def ready(self, mask: int) -> None:
        try:
            if mask & EPOLLOUT:
                self._flush()
            data, fds = receive(self._socket)
        except BlockingIOError:
            return
        except OSError:
            self.fail()
            return
        self._fds += fds
        self._lines += data
        is_over = not data or len(self._lines) > _LONGEST_LINE
        if is_over or not self._control.admits(self, self._socket, self._fds):
            self.fail()
        while self._is_open and (end := self._lines.find(b"\n")) >= 0:
            line = bytes(self._lines[:end])
            del self._lines[: end + 1]
            fds_of_line, self._fds = self._fds, []
            if line:
                self._control.answer(self, line, fds_of_line)

    def fail(self) -> None:
        if self._is_open:
            self._is_open = False
            for fd in self._fds:
                os.close(fd)
            self._loop.close(self._socket)
            self._control.leave(self)

    def expire(self) -> None:
        """It has no deadline."""

    def send(self, message: Json, fds: Sequence[int]) -> None:
        """The message is sent, or kept until it can be; one who reads nothing for too long is cut off."""
        data = json.dumps(message).encode() + b"\n"
        try:
            if fds and not self._unsent:
                data = data[socket.send_fds(self._socket, [data], list(fds)) :]
            self._unsent += data
            self._flush()
        except OSError:
            self.fail()
        if len(self._unsent) > _MOST_UNSENT:
            self.fail()

    def _flush(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        self._loop.change(self._socket.fileno(), EPOLLIN | (EPOLLOUT if self._unsent else 0))
