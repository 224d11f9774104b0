"""From one supervisor to the next, while everything runs: the lock and the control socket change hands, nothing else.

The new one is started and has checked all that it can before it asks. The old one then stops watching, passes both on
and waits until the new one says that it runs; one that ends, or says nothing for too long, is killed, and the old one
takes everything up again. At every moment one of them holds the lock, and whoever connects waits for it.
"""

import json
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import trivet.errors
from trivet.errors import SupervisorUnreachable, TrivetError
from trivet.host import processes
from trivet.host.sockets import connect_unix, peer_pid, receive, send_line
from trivet.host.spawn import Command, become
from trivet.model.home import Home
from trivet.run.supervisor.launch import INHERIT, socket_path
from trivet.run.supervisor.link import send_request

_ASKED_WITHIN_S = 10.0
_RUNS_WITHIN_S = 60.0
_ENDS_WITHIN_S = 10.0
_RUNS = b"it runs"


class PassedOn:
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


class Image:
    """What this process is to become: the supervisor of another version, with the same number and the same children."""

    def __init__(self, client: socket.socket, command: Command, listener: socket.socket) -> None:
        self._client = client
        self._command = command
        self.listener = listener

    def runs(self, lock: int) -> bool:
        """Does not return, unless there is no such program."""
        send_line(self._client, json.dumps({"ok": True, "result": None}).encode())
        self._client.close()
        inherited = (lock, self.listener.fileno())
        for descriptor in inherited:
            os.set_inheritable(descriptor, True)  # noqa: FBT003 - it has no keyword
        if self._command.open_files is not None:
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (self._command.open_files, hard))
        option = f"{INHERIT}{inherited[0]},{inherited[1]}"
        try:
            become(replace(self._command, argv=(*self._command.argv, option)))
        except OSError as error:
            sys.stderr.write(f"trivet: {self._command.argv[0]} cannot be run: {error.strerror}\n")
            return False


def recall(descriptors: str) -> PassedOn:
    """What an `Image` was given in `INHERIT`, before it was this program."""
    lock, listener = map(int, descriptors.split(","))
    for descriptor in (lock, listener):
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - it has no keyword
    return PassedOn(None, lock, socket.socket(fileno=listener))


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


def take_over(home: Home) -> PassedOn:
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
    return PassedOn(connection, lock, socket.socket(fileno=listener))


def _check(answer: Mapping[str, Any]) -> None:
    if not answer["ok"]:
        told = answer["error"]
        kind = getattr(trivet.errors, str(told["kind"]), TrivetError)
        raise kind(told["message"], hint=told["hint"], detail=tuple(told["detail"]))
