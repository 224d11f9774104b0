"""A connection to a backend: it carries one request and its answer at a time, and waits idle in between."""

import socket
from errno import ECONNREFUSED
from select import EPOLLIN, EPOLLOUT

from trivet.run.door.asker import Asker, Carrier, Loss
from trivet.run.door.body import Body, Fixed, UntilClose
from trivet.run.door.grammar import HEAD_END, MOST_HEAD_BYTES, breaks_a_head
from trivet.run.door.loop import NEVER, Loop
from trivet.run.door.refusal import Refusal
from trivet.run.door.response import Response, parse_response
from trivet.run.door.stream import NO_WAIT, READ_BYTES, Stream

_MUCH = 4096  # bytes, from which on a copy costs more than the view that saves it


class Pool:
    """Where upstreams belong: what one needs of its backend."""

    __slots__ = ()

    def release(self, upstream: "Upstream") -> None:
        """The upstream has no request any more, and can take another one."""
        raise NotImplementedError

    def drop(self, upstream: "Upstream") -> None:
        """The upstream is closed, and has no request any more."""
        raise NotImplementedError

    def lose(self, upstream: "Upstream") -> None:
        """The upstream is closed, and the request it had got no whole answer."""
        raise NotImplementedError

    def refused(self) -> None:
        """The backend took no connection."""
        raise NotImplementedError

    def forget_idle(self, upstream: "Upstream") -> None:
        """The idle upstream is closed."""
        raise NotImplementedError


class Upstream(Stream, Carrier):
    """A connection to a backend; `begin` gives it a request."""

    __slots__ = (
        "_asker",
        "_begun",
        "_body",
        "_buffer",
        "_closes",
        "_connecting",
        "_pool",
        "_response",
    )

    def __init__(self, loop: Loop, pool: Pool, connection: socket.SocketType) -> None:
        super().__init__(loop, connection)
        self._pool = pool
        self._asker: Asker | None = None
        self._connecting = True
        self._begun = self._closes = False
        self._buffer = b""  # part of an answer's head
        self._response: Response | None = None
        self._body: Body | None = None

    def begin(self, asker: Asker) -> None:
        """The request is on its way, or waits for the connection. Raises: OSError: nothing of it was taken."""
        self.deadline = NEVER
        self._asker = asker
        self._begun = False
        self._response = self._body = None
        if self.write_now(asker.outgoing(self)):
            self._connecting = False
            if not self._mask:
                self.listen()
            asker.accepted()
        elif self._connecting:
            self.await_connection()
            asker.wait()
        else:
            raise ConnectionResetError("an idle connection takes no request")

    def send(self, data: bytes) -> bool:
        try:
            self.write(data)
        except OSError:
            self._salvage()
            return True
        return not self.is_congested

    def finish_sending(self) -> None:
        try:
            self.finish()
        except OSError:
            self._lose()

    def resume(self) -> None:
        if not self._connecting:
            self.listen()

    def abandon(self) -> None:
        self._asker = None
        self.close()
        self._pool.drop(self)

    def cut(self) -> None:
        """The request is taken away from the backend."""
        self._lose()

    def ready(self, mask: int) -> None:
        if self._asker is None:
            self.expire()
            return
        if self._connecting:
            self._connect()
            return
        if mask & EPOLLOUT:
            self._flush()
            if mask == EPOLLOUT or self.closed:
                return
        try:
            data = self._socket.recv(READ_BYTES, NO_WAIT)
        except BlockingIOError:
            if not mask & EPOLLIN:
                self._lose()
        except OSError:
            self._lose()
        else:
            if data:
                self._receive(data)
            else:
                self._end()

    def fail(self) -> None:
        self._lose()

    def expire(self) -> None:
        """An idle connection was closed by the backend, or was idle for long enough."""
        if self._asker is None:
            self._pool.forget_idle(self)
            self.close()

    def _connect(self) -> None:
        asker = self._asker
        if asker is None:
            return
        try:
            if self.connect_error() or not self.write_now(asker.outgoing(self)):
                raise ConnectionRefusedError(ECONNREFUSED, "the backend takes no connection")
        except OSError:
            self._pool.refused()
            self._drop(Loss(reached=False))
            return
        self._connecting = False
        self.listen()
        asker.accepted()

    def _flush(self) -> None:
        try:
            drained = self.flush()
        except OSError:
            self._salvage()
            return
        if drained and self._asker is not None:
            self._asker.drained()

    def _salvage(self) -> None:
        """The backend takes no more of the request; what it had answered by then is still relayed."""
        while self._asker is not None:
            try:
                data = self.read()
            except OSError:
                data = None
            if data:
                self._receive(data)
            elif data is None:
                self._lose()
            else:
                self._end()
                return

    def _receive(self, data: bytes) -> None:
        asker = self._asker
        if asker is None:
            return
        self._begun = True
        try:
            if self._response is None:
                self._receive_head(asker, self._buffer + data if self._buffer else data, len(self._buffer))
            elif self._body is None:
                self._relay(asker, data)
            else:
                passed, left = self._body.take(data)
                self._relay(asker, passed)
                if self._body.done and self._asker is asker:
                    self._complete(asker, self._response, left)
        except Refusal as refusal:
            self._asker = None
            self.close()
            self._pool.drop(self)
            asker.misanswered(refusal)

    def _receive_head(self, asker: Asker, data: bytes, seen: int) -> None:
        start = 0
        while True:
            end = data.find(HEAD_END, max(seen - 3, start)) + 4
            if end == 3 or end - start > MOST_HEAD_BYTES:
                self._await_head(data[start:], max(seen - start, 0))
                return
            response = parse_response(data[start:end], asker.request)
            start = end
            if not response.is_interim:
                break
            if not asker.request.is_http10:
                self._relay(asker, response.head)
        if self._buffer:
            self._buffer = b""
        self._response = response
        if response.switches:
            asker.switched()
            self._relay(asker, response.head + data[start:])
        else:
            self._begin_body(asker, response, data, start)

    def _begin_body(self, asker: Asker, response: Response, data: bytes, start: int) -> None:
        """The head and what came of the body with it are relayed at once, copied no oftener than that takes."""
        self._closes = response.closes or asker.must_close()
        head = response.last_head if self._closes else response.head
        count, left = len(data) - start, b""
        if response.size == count:  # as most answers come: whole, in one piece
            asker.relay(head + data[start:] if count < _MUCH else head + memoryview(data)[start:])
        elif response.size == 0:
            left = data[start:]
            self._relay(asker, head)
        else:
            self._body = body = response.make_body()
            if isinstance(body, Fixed) and body.take_all(count):
                self._relay(asker, head + memoryview(data)[start:])
            else:
                passed, left = body.take(data[start:])
                self._relay(asker, head + passed)
            if not body.done:
                return
        if self._asker is asker:
            self._complete(asker, response, left)

    def _await_head(self, data: bytes, seen: int) -> None:
        if len(data) > MOST_HEAD_BYTES:
            raise Refusal(502, "The head of the app's answer is too large.")
        if breaks_a_head(data, max(seen - 1, 0)):
            raise Refusal(502, "The app's answer breaks the rules of HTTP.")
        self._buffer = data

    def _relay(self, asker: Asker, data: bytes) -> None:
        """The client may vanish while it is sent to: then this connection is closed already."""
        if data and self._asker is asker and not asker.relay(data):
            self.pause()

    def _complete(self, asker: Asker, response: Response, left: bytes) -> None:
        self._asker = None
        if response.keep_alive and not (left or self._out) and asker.has_asked():
            if not self._wants:
                self.listen()
            self._pool.release(self)
        else:
            self.close()
            self._pool.drop(self)
        if self._closes:
            asker.finished_last()
        else:
            asker.finished()

    def _end(self) -> None:
        """The backend has no more to send."""
        asker, response = self._asker, self._response
        if asker is None:
            return
        if response is not None and response.switches:
            self.pause()
            asker.ended()
        elif isinstance(self._body, UntilClose):
            self._asker = None
            self.close()
            self._pool.drop(self)
            asker.finished_last()
        else:
            self._lose()

    def _lose(self) -> None:
        if self._asker is not None:
            is_endless = isinstance(self._body, UntilClose)
            self._drop(Loss(reached=not self._connecting, begun=self._begun, is_endless=is_endless))

    def _drop(self, loss: Loss) -> None:
        asker, self._asker = self._asker, None
        self.close()
        if loss.reached:
            self._pool.lose(self)
        else:
            self._pool.drop(self)
        if asker is not None:
            asker.lost(loss)
