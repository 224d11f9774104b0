"""From one supervisor to the next, while everything runs: the lock and the control socket change hands, nothing else.

The new one is started and has checked all that it can before it asks. The old one then stops watching, passes both on
and waits until the new one says that it runs; one that ends, or says nothing for too long, is killed, and the old one
takes everything up again. At every moment one of them holds the lock, and whoever connects waits for it.
"""

import json
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any

import trivet.errors
from trivet.errors import SupervisorUnreachable, TrivetError
from trivet.host import processes
from trivet.host.sockets import connect_unix, peer_pid, receive, send_line
from trivet.model.home import Home
from trivet.run.supervisor.launch import socket_path
from trivet.run.supervisor.link import send_request

_ASKED_WITHIN_S = 10.0
_RUNS_WITHIN_S = 60.0
_ENDS_WITHIN_S = 10.0
_RUNS = b"it runs"


class Inheritance:
    """What the old supervisor has passed on: the lock, and the socket that the control socket's clients come to.

    `old` is None if that was this process.
    """

    def __init__(self, old: socket.socket | None, lock: int, listener: socket.socket) -> None:
        self._old = old
        self.lock = lock
        self.listener = listener

    def accept(self) -> None:
        """The old supervisor may end: everything runs under this one."""
        if self._old is not None:
            with self._old:
                send_line(self._old, _RUNS)


class Successor:
    """A new supervisor that has asked for everything, and waits for its answer."""

    def __init__(self, connection: socket.socket, listener: socket.socket) -> None:
        self._connection = connection
        self._pidfd = os.pidfd_open(peer_pid(connection))
        self.listener = listener

    def runs(self, lock: int) -> bool:
        """Whether the new supervisor runs with all that was ours; else it is gone. Waits for that."""
        try:
            with self._connection:
                self._connection.settimeout(_RUNS_WITHIN_S)
                send_line(
                    self._connection, json.dumps({"ok": True, "result": None}).encode(), (lock, self.listener.fileno())
                )
                if self._connection.recv(len(_RUNS)) == _RUNS:
                    return True
        except OSError as error:
            sys.stderr.write(f"trivet: the new supervisor does not answer: {error}\n")
        self._end()
        return False

    def _end(self) -> None:
        """Two must not do the same work."""
        processes.send_signal(self._pidfd, signal.SIGKILL)
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        poll.poll(_ENDS_WITHIN_S * 1000)
        os.close(self._pidfd)


def take_over(home: Home) -> Inheritance:
    """What the supervisor that runs has, which watches nothing any more. Raises: SupervisorUnreachable, Busy, RunError."""
    try:
        connection = connect_unix(socket_path(home), _ASKED_WITHIN_S)
        send_request(home, connection, {"do": "hand_over"})
        data, descriptors = b"", list[int]()
        while not data.endswith(b"\n"):
            more, fds = receive(connection)
            if not more:
                raise ConnectionResetError("it ended before it answered")
            data += more
            descriptors += fds
    except OSError as error:
        raise SupervisorUnreachable(
            f"The supervisor that runs does not hand over: {error}.", hint="Replace it: trivet down && trivet up"
        ) from error
    _check(json.loads(data))
    lock, listener = descriptors
    return Inheritance(connection, lock, socket.socket(fileno=listener))


def _check(answer: Mapping[str, Any]) -> None:
    if not answer["ok"]:
        told = answer["error"]
        kind = getattr(trivet.errors, str(told["kind"]), TrivetError)
        raise kind(told["message"], hint=told["hint"], detail=tuple(told["detail"]))
