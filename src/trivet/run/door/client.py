"""A client's connection: one request after the other is read, checked, handed to a backend, and its answer relayed."""

import socket
from select import EPOLLIN, EPOLLOUT

from trivet.run.door.asker import Carrier, Loss
from trivet.run.door.deploy import HOLD_S, Deploy
from trivet.run.door.loop import NEVER, Loop
from trivet.run.door.parted import Parted
from trivet.run.door.refusal import Refusal, answer
from trivet.run.door.request import NO_REQUEST, Peer, end_of_head, parse_request, without_empty_lines
from trivet.run.door.stream import NO_WAIT, READ_BYTES
from trivet.run.door.upload import NO_UPLOAD, Upload
from trivet.run.door.visit import BUSY, FLUSHING, GONE, HEAD, LINGER_S, LINGERING, STALL_S, SWITCHED, Visit

_HEAD_S = 30.0  # from a request's first byte to the end of its head
_IDLE_S = 75.0  # between two requests
_MOST_REPEATS = 2


class Client(Visit):
    """One connection and its present request."""

    __slots__ = (
        "_accepted",
        "_backend_ended",
        "_head",
        "_peer",
        "_relayed",
        "_repeats",
        "_upload",
        "request",
    )

    def __init__(self, loop: Loop, deploy: Deploy, connection: socket.SocketType, peer: Peer) -> None:
        super().__init__(loop, deploy, connection)
        self._peer = peer
        self._head = b""
        self._backend_ended = False

    def begin(self) -> None:
        """What came with the connection, as mostly the first request has, is read; and then what comes.

        While a request without a body is under way, only the client's end could come: mostly the answer is there sooner,
        and the kernel need not be asked at all.
        """
        self.ready(EPOLLIN)
        if self._state == BUSY and self._upload.is_empty:
            self._loop.call_later(self._look)
        else:
            self.rest()

    def rest(self) -> None:
        """What comes is read."""
        if self._state == HEAD:
            self._loop.set_deadline(self, self._loop.now + _HEAD_S)
        self._look()

    def _look(self) -> None:
        if not (self._mask or self.closed):
            try:
                self._update()
            except OSError:  # the kernel can watch no more
                self._vanish()

    # what the loop calls

    def ready(self, mask: int) -> None:
        if mask & EPOLLOUT:
            self._flush()
            if mask == EPOLLOUT or self._state == GONE:
                return
        try:
            data = self._socket.recv(READ_BYTES, NO_WAIT)
        except BlockingIOError:
            if not mask & EPOLLIN:
                self._vanish()
        except OSError:
            self._vanish()
        else:
            if not data:
                self._end()
            elif self._state == HEAD and not self._buffer:
                self._parse(data, 0)
            else:
                self.receive(data)

    def expire(self) -> None:
        if self._state == HEAD and self._buffer:
            self._refuse_unread(Refusal(408, "The request's head did not come in time."))
        elif self._state == HEAD:
            self._linger()
        elif self._state == BUSY and not self._accepted:
            self._let_go()
            self.refuse(503, "No process of this app takes connections.")
        else:
            self._vanish()

    # what deploys and upstreams call

    def takes_any(self) -> bool:
        return self.request.is_repeatable and self._upload.is_empty and not self._repeats

    def wants_fresh(self) -> bool:
        return self._repeats > 0

    def must_close(self) -> bool:
        is_last = self._ended and not self._buffer
        upload = self._upload
        has_asked = upload.is_empty or upload.is_done
        return not (self.request.keep_alive and has_asked) or is_last or self._deploy.is_closed

    def has_asked(self) -> bool:
        return self._upload.is_empty or self._upload.is_done

    def outgoing(self, carrier: Carrier) -> bytes:
        self._carrier = carrier
        upload = self._upload
        return self._head if upload.is_empty else self._head + upload.kept

    def wait(self) -> None:
        if self.deadline == NEVER:
            self._loop.set_deadline(self, self._loop.now + HOLD_S)

    def accepted(self) -> None:
        self._accepted = True
        self.deadline = NEVER
        if not self._upload.is_empty:
            self._upload.forget()
            self._read_on()

    def drained(self) -> None:
        self._read_on()

    def relay(self, data: bytes) -> bool:
        self._relayed = True
        try:
            if self.write(data):
                return True
        except OSError:
            self._vanish()
            return True
        self._watch_progress()
        return not self.is_congested

    def finished(self) -> None:
        self._carrier = None
        if self._out:
            self._state = FLUSHING
        else:
            self._next()

    def finished_last(self) -> None:
        self._carrier = None
        asked_for = not self.request.keep_alive and not self._buffer and self.has_asked()
        if (asked_for or self._ended) and not self._out:
            self._vanish()
        else:
            self._linger()

    def switched(self) -> None:
        self._state = SWITCHED
        data, self._buffer, self._head = self._buffer, b"", b""
        if not self._ended:
            self.listen()
        self._forward(data)
        if self._ended and self._carrier is not None:
            self._carrier.finish_sending()

    def ended(self) -> None:
        self._backend_ended = True
        if self._ended:
            self._let_go()
            self._linger()
            return
        try:
            self.finish()
        except OSError:
            self._vanish()

    def lost(self, loss: Loss) -> None:
        self._carrier = None
        if not loss.reached or (not loss.begun and self._can_repeat()):
            self._repeats += loss.reached
            self._accepted = False
            self._deploy.dispatch(self)
        elif not self._relayed:
            self.refuse(502, "The app closed the connection before it answered.")
        elif loss.is_endless:
            self.reset()
            self._vanish()
        else:
            self._linger()

    def misanswered(self, refusal: Refusal) -> None:
        self._carrier = None
        if self._relayed:
            self.reset()
            self._vanish()
        else:
            self.refuse(502, refusal.text)

    def refuse(self, status: int, text: str) -> None:
        self._say(answer(status, text, with_body=self.request.method != b"HEAD"))

    def is_at_rest(self) -> bool:
        return self._state == HEAD and not (self._buffer or self._ended or self.unsent)

    def part(self) -> Parted:
        left_s = self.deadline - self._loop.now
        parted = Parted(self.release(), self._peer, left_s)
        self._vanish()
        return parted

    def retire(self) -> None:
        if self._state == HEAD and not self._buffer:
            self._linger()

    # reading

    def receive(self, data: bytes) -> None:
        """The client has sent this."""
        if self._state == HEAD:
            self._parse(self._buffer + data if self._buffer else data, len(self._buffer))
        elif self._state == BUSY and not self.has_asked():
            self._receive_body(data)
        elif self._state == SWITCHED:
            self._forward(data)
        elif self._state != LINGERING:
            self._buffer += data
            if len(self._buffer) >= READ_BYTES:
                self.pause()

    def _end(self) -> None:
        """The client sends no more; it may still want its answer."""
        if self._ended:  # again: not only its half is closed
            self._vanish()
            return
        self._ended = True
        if self._state == BUSY and self.has_asked():
            self.await_error()
            return
        self.pause()
        if self._state == SWITCHED and not self._backend_ended:
            if self._carrier is not None:
                self._carrier.finish_sending()
        elif self._state in (BUSY, HEAD, LINGERING, SWITCHED):
            self._vanish()

    def _parse(self, data: bytes, seen: int) -> None:
        if data.startswith(b"\r\n"):
            data, seen = without_empty_lines(data), 0
        try:
            end = end_of_head(data, seen)
            if end is None:
                self._await_head(data)
                return
            self.request, self._head = request, _ = parse_request(data[:end], self._peer)
        except Refusal as refusal:
            self._refuse_unread(refusal)
            return
        self._buffer = data = data[end:]
        self._state = BUSY
        self.deadline = NEVER
        self._repeats = 0
        self._accepted = self._relayed = False
        self._upload = Upload(request) if request.has_body else NO_UPLOAD[request.is_repeatable]
        self._deploy.requests += 1
        if not data or self._take_body(data):
            self._deploy.dispatch(self)

    def _await_head(self, data: bytes) -> None:
        if data and not self._buffer:
            self._loop.set_deadline(self, self._loop.now + _HEAD_S)
        self._buffer = data

    # the request's body

    def _receive_body(self, data: bytes) -> None:
        if self._take_body(data):
            self._watch_progress()

    def _take_body(self, data: bytes) -> bool:
        try:
            passed, self._buffer = self._upload.take(data)
        except Refusal as refusal:
            self._let_go()
            if self._relayed:
                self._vanish()
            else:
                self.refuse(refusal.status, refusal.text)
            return False
        if self._accepted:
            self._upload.forget()
            self._forward(passed)
        elif self._upload.is_full:
            self.pause()
        return True

    def _forward(self, data: bytes) -> None:
        if data and self._carrier is not None and not self._carrier.send(data):
            self.pause()

    def _read_on(self) -> None:
        if self._state == SWITCHED or (self._state == BUSY and not self.has_asked()):
            if not self._ended:
                self.listen()
            self._watch_progress()

    def _can_repeat(self) -> bool:
        return self._upload.may_repeat and not self._relayed and self._repeats < _MOST_REPEATS

    def _watch_progress(self) -> None:
        """The deadline is that of whatever waits for the client; what waits for the backend has none here."""
        reads_body = self._state == BUSY and not self.has_asked() and self.is_reading
        if self.unsent or (self._accepted and reads_body):
            self._loop.set_deadline(self, self._loop.now + STALL_S)
        elif self._accepted:
            self.deadline = NEVER

    # the answer's end

    def _flush(self) -> None:
        try:
            drained = self.flush()
        except OSError:
            self._vanish()
            return
        if self._state in (BUSY, SWITCHED):
            self._watch_progress()
        if drained and self._carrier is not None:
            self._carrier.resume()
        if drained and self._state == FLUSHING:
            self._next()
        elif drained and self._state == LINGERING:
            self._loop.set_deadline(self, self._loop.now + LINGER_S)

    def _next(self) -> None:
        """The connection is ready for another request; perhaps one has come already."""
        self._state = HEAD
        if self._deploy.is_closed or (self._ended and not self._buffer):
            self._linger()
            return
        deadline = self._loop.now + _IDLE_S
        if self.filed_at <= deadline:  # it will be looked at in time
            self.deadline = deadline
        else:
            self._loop.set_deadline(self, deadline)
        self._head, self.request, self._upload = b"", NO_REQUEST, NO_UPLOAD[False]  # at rest, nothing is kept in memory
        if not self._mask & EPOLLIN and not self._ended:
            self.listen()
        data = self._buffer
        if data:
            self._buffer = b""
            self._parse(data, 0)
        if self._ended and self._state == HEAD:  # half a request will never be whole
            self._vanish()
        elif self._state == HEAD and self._deploy.on_rest is not None:
            self._deploy.on_rest(self)
