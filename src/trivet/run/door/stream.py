"""A connected socket that never blocks: it keeps what could not be sent yet, and knows which events it waits for.

Errors of the other end come out as OSError, the end of its data as b"".
"""

import socket
from select import EPOLLET, EPOLLIN, EPOLLOUT

from trivet.run.door.loop import NEVER, Loop, Watched

# An answer of 64 KiB and its head fit; from 128 KiB on, a buffer comes from mmap each time, which halves the rate.
READ_BYTES = 98304
CONGESTED_BYTES = 262144
# Said with every call, so that no socket has to be told not to block: one system call less for each connection.
NO_WAIT = socket.MSG_DONTWAIT


class Stream(Watched):
    """One end of a relay; what it is the end of, says the subclass. `unsent` counts the bytes that wait.

    It waits for nothing until `listen` or `await_connection`.

    One object for a connection, not two that know each other: idle ones are smaller, and none is left to the collector.
    """

    __slots__ = ("_loop", "_mask", "_out", "_socket", "_wants", "closed", "shut")

    def __init__(self, loop: Loop, connection: socket.SocketType) -> None:
        super().__init__()
        self._loop = loop
        self._socket = connection
        self._out: bytearray | None = None
        self._wants = EPOLLIN
        self._mask = 0
        self.shut = self.closed = False

    @property
    def unsent(self) -> int:
        return len(self._out) if self._out else 0

    @property
    def is_reading(self) -> bool:
        return self._wants != 0

    @property
    def is_congested(self) -> bool:
        """Whether so much waits to be sent that its source should pause."""
        return self._out is not None and len(self._out) > CONGESTED_BYTES

    def read(self) -> bytes | None:
        """What has arrived; b"" at the end, None when there is nothing now. Raises: OSError."""
        try:
            return self._socket.recv(READ_BYTES, NO_WAIT)
        except BlockingIOError:
            return None

    def write(self, data: bytes) -> bool:
        """The data is sent, or kept until it can be; whether all of it was sent. Raises: OSError."""
        if self._out:
            self._out += data
            return False
        try:
            sent = self._socket.send(data, NO_WAIT)
        except BlockingIOError:
            sent = 0
        if sent == len(data):
            return True
        self._keep(data[sent:])
        return False

    def write_now(self, data: bytes) -> bool:
        """Whether the kernel took the data or its first part; then the rest is kept, else nothing. Raises: OSError."""
        try:
            sent = self._socket.send(data, NO_WAIT)
        except BlockingIOError:
            return False
        if sent < len(data):
            self._keep(data[sent:])
        return True

    def await_connection(self) -> None:
        """The owner is called once the connection stands or has failed."""
        self._wants = 0
        self._mask = EPOLLOUT
        self._loop.watch(self._socket.fileno(), EPOLLOUT, self)

    def flush(self) -> bool:
        """What waited is sent as far as possible; True once nothing waits. Raises: OSError."""
        if self._out:
            try:
                sent = self._socket.send(memoryview(self._out)[:READ_BYTES], NO_WAIT)
            except BlockingIOError:
                return False
            del self._out[:sent]
            if self._out:
                return False
        self._out = None
        self._update()
        if self.shut:
            self._socket.shutdown(socket.SHUT_WR)
        return True

    def pause(self) -> None:
        """Nothing is read until `listen`."""
        if self._wants:
            self._wants = 0
            self._update()

    def await_error(self) -> None:
        """Nothing more is read; but if the connection breaks, `ready` is called for it, once."""
        self._wants = EPOLLET
        self._update()

    def listen(self) -> None:
        """What arrives is read, from now on or again."""
        self._wants = EPOLLIN
        if not self._mask & EPOLLIN:
            self._update()

    def finish(self) -> None:
        """The other end sees the end of the data, after all of it. Raises: OSError."""
        if not self.shut:
            self.shut = True
            if not self._out:
                self._socket.shutdown(socket.SHUT_WR)

    def is_silent(self) -> bool:
        """Whether the other end has neither sent anything nor closed."""
        try:
            self._socket.recv(1, socket.MSG_PEEK | NO_WAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def connect_error(self) -> int:
        """The errno of a connection attempt that is over; 0: connected."""
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def close(self) -> None:
        """The socket is closed, and its deadline gone; what still waited is lost."""
        if not self.closed:
            self.closed = True
            self._out = None
            self._mask = 0
            if self.filed_at != NEVER:
                self._loop.cancel(self)
            self._loop.close(self._socket)

    def release(self) -> socket.SocketType:
        """The socket, which is the caller's from here on; nothing is read from it or sent to it here any more."""
        self.closed = True
        self._loop.cancel(self)
        self._loop.forget(self._socket.fileno())
        self._socket.settimeout(0)  # earlier versions of the door expect that
        return self._socket

    def reset(self) -> None:
        """The socket is closed in such a way that the other end sees an error, not an end."""
        if not self.closed:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.close()

    def _keep(self, data: bytes) -> None:
        self._out = bytearray(data)
        self._update()

    def _update(self) -> None:
        """The kernel is asked for the events that matter now; for none at all, an error could not be looked away from."""
        mask = self._wants & EPOLLIN | EPOLLOUT if self._out else self._wants
        if mask == self._mask or self.closed:
            return
        fd = self._socket.fileno()
        if not self._mask:
            self._loop.watch(fd, mask, self)
        elif not mask:
            self._loop.forget(fd)
        else:
            self._loop.change(fd, mask)
        self._mask = mask
