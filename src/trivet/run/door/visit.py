"""A client's connection as a visit: what it begins with is in `client.py`, how it ends is here.

Whoever closes first while the other still sends makes the kernel reset the connection, and what was said last be lost
(RFC 9112 §9.6): so a visit ends by lingering.
"""

import socket

from trivet.run.door.asker import Asker, Carrier
from trivet.run.door.deploy import Deploy
from trivet.run.door.loop import Loop
from trivet.run.door.refusal import Refusal, answer
from trivet.run.door.stream import Stream

STALL_S = 60.0  # without a byte of a body read, or of an answer taken
LINGER_S = 5.0  # for a client to see the end before the connection is gone

HEAD, BUSY, SWITCHED, FLUSHING, LINGERING, GONE = range(6)


class Visit(Stream, Asker):
    """One connection, and in which state it is.

    HEAD: no request, or part of a head. BUSY: a request is under way. SWITCHED: a stream of bytes. FLUSHING: the
    answer is whole but not sent. LINGERING: all is said, the client has not closed yet.
    """

    __slots__ = ("_buffer", "_carrier", "_deploy", "_ended", "_state")

    def __init__(self, loop: Loop, deploy: Deploy, connection: socket.SocketType) -> None:
        super().__init__(loop, connection)
        self._deploy = deploy
        self._state = HEAD
        self._buffer = b""
        self._ended = False
        self._carrier: Carrier | None = None
        deploy.clients.add(self)

    def fail(self) -> None:
        self._vanish()

    def _say(self, data: bytes) -> None:
        self._deploy.refused += 1
        try:
            self.write(data)
        except OSError:
            self._vanish()
            return
        self._linger()

    def _refuse_unread(self, refusal: Refusal) -> None:
        self._buffer = b""
        self._say(answer(refusal.status, refusal.text))

    def _linger(self) -> None:
        """All that is to be said is on its way: wait for the client to close, reading without listening."""
        if self._state == GONE:
            return
        self._state = LINGERING
        self._buffer = b""
        try:
            self.finish()
        except OSError:
            self._vanish()
            return
        if self._ended and not self.unsent:
            self._vanish()
            return
        if not self._ended:
            self.listen()
        self._loop.set_deadline(self, self._loop.now + (STALL_S if self.unsent else LINGER_S))

    def _let_go(self) -> None:
        """No backend works on the request any more, and it waits for none."""
        carrier, self._carrier = self._carrier, None
        if carrier is not None:
            carrier.abandon()
        elif self._state == BUSY and self._deploy.held:
            self._deploy.unhold(self)

    def _vanish(self) -> None:
        """The connection is closed, from whichever state."""
        if self._state == GONE:
            return
        self._let_go()
        self._state = GONE
        self.close()
        self._deploy.forget(self)
