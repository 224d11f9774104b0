"""The ports that `web` processes get: 20000-29999, below the kernel's own choice for outgoing connections."""

import contextlib
import errno
import os
import socket
from collections.abc import Callable

from trivet.errors import MachineError

_FIRST, _COUNT = 20000, 10000


class Ports:
    """Hands out ports that nobody has. `is_free` asks the machine."""

    def __init__(self, is_free: Callable[[int], bool] | None = None) -> None:
        self._is_free = is_free or is_port_free
        self._taken: set[int] = set()
        self._guards: dict[int, socket.socket] = {}
        # Not always from the start: a port just given back may still be asked for by somebody who remembers it.
        self._next = int.from_bytes(os.urandom(2), "big") % _COUNT

    def take(self) -> int:
        """A port that is not given to anybody else until `give_back`. Raises: MachineError."""
        for step in range(_COUNT):
            port = _FIRST + (self._next + step) % _COUNT
            if port not in self._taken and self._is_free(port):
                self._next = port + 1 - _FIRST
                self._taken.add(port)
                return port
        raise MachineError(
            f"All ports from {_FIRST} to {_FIRST + _COUNT - 1} are in use.",
            hint="`trivet scale web=…` lowers how many processes need one.",
        )

    def is_lost(self, port: int) -> bool:
        """Whether somebody listens on the port, though the process that it belongs to does not run."""
        return not is_port_free(port, reuse=True)

    def keep(self, port: int) -> None:
        """The port is taken by a process that was found."""
        self._taken.add(port)

    def give_back(self, port: int) -> None:
        """The port may be handed out again."""
        self.unguard(port)
        self._taken.discard(port)

    def guard(self, port: int | None) -> None:
        """Nobody can listen on the port, which is given to a process that waits for its next start, if nobody does now.

        The front door still sends requests there, and they are not for whoever comes first.
        """
        if port in self._taken and port not in self._guards:
            with contextlib.suppress(OSError):
                self._guards[port] = _bind_alone(port)

    def unguard(self, port: int | None) -> None:
        """The port's process can listen there."""
        if port in self._guards:
            self._guards.pop(port).close()


def _bind_alone(port: int) -> socket.socket:
    guard = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections from before do not matter
        guard.bind(("0.0.0.0", port))
        guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)  # and from now on nobody else may listen
    except OSError:
        guard.close()
        raise
    return guard


def is_port_free(port: int, *, reuse: bool = False) -> bool:
    """Whether a process could listen on this TCP port, on any address; `reuse`: one that sets SO_REUSEADDR."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        try:
            probe.bind(("0.0.0.0", port))  # every address at once; it never listens
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True
