"""The front door's control socket: JSON lines from the supervisor, answered in order; events to all who listen.

The protocol is written down in `link.py`.
"""

import json
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from select import EPOLLIN, EPOLLOUT

from trivet.host.key import Guard
from trivet.host.sockets import connect_unix, listen_unix, peer_pid, receive
from trivet.run.door.loop import Loop, Watched
from trivet.run.door.values import Json

_LONGEST_LINE = 1 << 20
_MOST_UNSENT = 1 << 20
_MOST_STRANGERS = 32  # connected, and silent so far
_PAUSE_S = 0.1

Answer = tuple[Json, Sequence[int]]


class Control(Watched):
    """The listening control socket and the supervisors connected to it; the guard tells who is one.

    `handle(request, descriptors)` gives the answer and descriptors to send along; `after(request, connection)` is
    called once the answer is on its way.
    """

    def __init__(
        self,
        loop: Loop,
        entrance: tuple[Path, socket.socket, Guard],
        handle: Callable[[Json, list[int]], Answer],
        after: Callable[[Json, "Connection"], None],
    ) -> None:
        super().__init__()
        self._loop = loop
        self._path, self._listening, self._guard = entrance
        self._is_held = False
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

    def hold(self, heir: "Connection") -> None:
        """Nobody but the heir is let in or listened to, until `dismiss` or `listen_again`."""
        self._is_held = True
        self._loop.forget(self._listening.fileno())
        for connection in self._others(heir):
            connection.pause()

    def dismiss(self, heir: "Connection") -> None:
        """Nobody else is listened to any more: whoever was finds the heir in our place."""
        self._loop.close(self._listening)
        for connection in self._others(heir):
            connection.fail()

    def listen_again(self) -> bool:
        """Whoever comes is let in by us again, and whoever was held is listened to. False: another door is there."""
        there = self._who_is_there()
        if there not in (None, os.getpid()):
            return False
        if there is None:
            self._loop.close(self._listening)
            self._listening = listen_unix(self._path)
        self._is_held = False
        self._resume()
        for connection in list(self._connections):
            connection.resume()
        return True

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
        self._after(request, connection)

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

    def _others(self, heir: "Connection") -> "list[Connection]":
        return [each for each in (*self._strangers, *self._connections) if each is not heir]

    def _who_is_there(self) -> int | None:
        """The process that listens where we do."""
        try:
            connection = connect_unix(self._path, _PAUSE_S)
        except OSError:
            return None
        with connection:
            return peer_pid(connection)

    def _resume(self) -> None:
        if self._is_held:
            return
        self._loop.forget(self._listening.fileno())
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
        self._is_paused = False
        self.is_open = True
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
        while self.is_open and (end := self._lines.find(b"\n")) >= 0:
            line = bytes(self._lines[:end])
            del self._lines[: end + 1]
            fds_of_line, self._fds = self._fds, []
            if line:
                self._control.answer(self, line, fds_of_line)

    def fail(self) -> None:
        if self.is_open:
            self.is_open = False
            for fd in self._fds:
                os.close(fd)
            self._loop.close(self._socket)
            self._control.leave(self)

    def expire(self) -> None:
        """It has no deadline."""

    @property
    def peer_pid(self) -> int:
        """The process at the other end, as the kernel knows it."""
        return peer_pid(self._socket)

    def pause(self) -> None:
        """What comes is left where it is until `resume`."""
        self._is_paused = True
        self._loop.forget(self._socket.fileno())

    def resume(self) -> None:
        """What came meanwhile is read, and what comes."""
        self.pause()
        self._is_paused = False
        self._loop.watch(self._socket.fileno(), EPOLLIN | (EPOLLOUT if self._unsent else 0), self)

    def send(self, message: Json, fds: Sequence[int]) -> None:
        """The message is sent, or kept until it can be; one who reads nothing for too long is cut off."""
        if not self.is_open:
            return
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
        if not self._is_paused:
            self._loop.change(self._socket.fileno(), EPOLLIN | (EPOLLOUT if self._unsent else 0))
