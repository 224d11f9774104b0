"""A connection from a load balancer that has not told yet whose it is: it becomes a client once it has."""

import contextlib
import socket
from collections.abc import Callable
from select import EPOLLIN

from trivet.run.door.loop import Loop, Watched
from trivet.run.door.proxy_header import MOST_BYTES, Origin, parse_proxy_header
from trivet.run.door.refusal import Refusal, answer

_WITHIN_S = 10.0
_LINGER_S = 5.0

Admit = Callable[[socket.SocketType, Origin, bytes], None]


class Greeter(Watched):
    """Reads the header of the PROXY protocol; `admit` then gets the connection, and what came behind the header.

    `over` is called before that, or when the connection is closed.
    """

    __slots__ = ("_admit", "_buffer", "_connection", "_is_refused", "_loop", "_over")

    def __init__(self, loop: Loop, connection: socket.SocketType, over: Callable[[], None], admit: Admit) -> None:
        super().__init__()
        self._loop = loop
        self._connection = connection
        self._over = over
        self._admit = admit
        self._buffer = b""
        self._is_refused = False
        loop.watch(connection.fileno(), EPOLLIN, self)
        loop.set_deadline(self, loop.now + _WITHIN_S)

    def ready(self, mask: int) -> None:
        try:
            data = self._connection.recv(MOST_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.fail()
        elif not self._is_refused:
            self._read(self._buffer + data)

    def _read(self, data: bytes) -> None:
        self._buffer = data
        try:
            found = parse_proxy_header(data)
        except Refusal as refusal:
            self._refuse(refusal)
            return
        if found is not None:
            self._finish(*found)

    def fail(self) -> None:
        """The connection is closed."""
        self._loop.cancel(self)
        self._loop.close(self._connection)
        over, self._over = self._over, _nothing
        over()

    def expire(self) -> None:
        if self._is_refused:
            self.fail()
        else:
            self._refuse(Refusal(408, "The header of the PROXY protocol did not come in time."))

    def _finish(self, origin: Origin, size: int) -> None:
        self._loop.cancel(self)
        self._loop.forget(self._connection.fileno())
        self._over()
        self._admit(self._connection, origin, self._buffer[size:])

    def _refuse(self, refusal: Refusal) -> None:
        """It is told why, and read from without listening until it closes: closing first would reset the answer away."""
        self._is_refused = True
        self._loop.set_deadline(self, self._loop.now + _LINGER_S)
        with contextlib.suppress(OSError):
            self._connection.send(answer(refusal.status, refusal.text))
            self._connection.shutdown(socket.SHUT_WR)


def _nothing() -> None:
    return
