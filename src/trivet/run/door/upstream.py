"""A connection to a backend: it carries one request and its answer at a time, and waits idle in between."""

import socket
from errno import ECONNREFUSED
from select import EPOLLIN, EPOLLOUT

from trivet.run.door.asker import Asker, Carrier, Loss
from trivet.run.door.body import Body, Fixed, UntilClose
from trivet.run.door.grammar import HEAD_END, MOST_HEAD_BYTES, breaks_a_head
from trivet.run.door.loop import NEVER, Loop, Watched
from trivet.run.door.refusal import Refusal
from trivet.run.door.response import Response, parse_response
from trivet.run.door.stream import Stream


class Pool:
    """Where upstreams belong: what one needs of its backend."""

    __slots__ = ()

    def release(self, upstream: "Upstream", *, reusable: bool) -> None:
        """The upstream has no request any more; it is reusable, or closed."""
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


class Upstream(Watched, Carrier):
    """A connection to a backend; `begin` gives it a request."""

    __slots__ = (
        "_asker",
        "_begun",
        "_body",
        "_buffer",
        "_connecting",
        "_loop",
        "_pool",
        "_response",
        "_stream",
    )

    def __init__(self, loop: Loop, pool: Pool, connection: socket.socket) -> None:
        super().__init__()
        self._loop = loop
        self._pool = pool
        self._asker: Asker | None = None
        self._stream = Stream(loop, connection, self)
        self._connecting = True
        self._forget_answer()

    def begin(self, asker: Asker) -> None:
        """The request is on its way, or waits for the connection. Raises: OSError: nothing of it was taken."""
        self.deadline = NEVER
        self._asker = asker
        self._forget_answer()
        if self._stream.write_now(asker.outgoing(self)):
            self._connecting = False
            asker.accepted()
        elif self._connecting:
            self._stream.await_connection()
            asker.wait()
        else:
            raise ConnectionResetError("an idle connection takes no request")

    def send(self, data: bytes) -> bool:
        try:
            self._stream.write(data)
        except OSError:
            self._salvage()
            return True
        return not self._stream.is_congested

    def finish_sending(self) -> None:
        try:
            self._stream.finish()
        except OSError:
            self._lose()

    def resume(self) -> None:
        if not self._connecting:
            self._stream.resume()

    def is_silent(self) -> bool:
        """Whether an idle connection can take a request: the backend has neither sent anything nor closed."""
        return self._stream.is_silent()

    def abandon(self) -> None:
        self._asker = None
        self.close()
        self._pool.release(self, reusable=False)

    def cut(self) -> None:
        """The request is taken away from the backend."""
        self._lose()

    def close(self) -> None:
        """The connection is closed; nobody is told."""
        self._loop.cancel(self)
        self._stream.close()

    def ready(self, mask: int) -> None:
        if self._asker is None:
            self.expire()
        elif self._connecting:
            self._connect()
        else:
            if mask & EPOLLOUT:
                self._flush()
            if mask & ~EPOLLOUT and not self._stream.closed and self._asker is not None:
                self._read(mask)

    def fail(self) -> None:
        self._lose()

    def expire(self) -> None:
        """An idle connection was closed by the backend, or was idle for long enough."""
        if self._asker is None:
            self._pool.forget_idle(self)
            self.close()

    def _forget_answer(self) -> None:
        self._begun = False
        self._buffer = b""
        self._response: Response | None = None
        self._body: Body | None = None

    def _connect(self) -> None:
        asker = self._asker
        if asker is None:
            return
        try:
            if self._stream.connect_error() or not self._stream.write_now(asker.outgoing(self)):
                raise ConnectionRefusedError(ECONNREFUSED, "the backend takes no connection")
        except OSError:
            self._pool.refused()
            self._drop(Loss(reached=False))
            return
        self._connecting = False
        self._stream.resume()
        asker.accepted()

    def _flush(self) -> None:
        try:
            drained = self._stream.flush()
        except OSError:
            self._salvage()
            return
        if drained and self._asker is not None:
            self._asker.drained()

    def _read(self, mask: int) -> None:
        try:
            data = self._stream.read()
        except OSError:
            self._lose()
            return
        if data:
            self._begun = True
            self._receive(data)
        elif data is not None:
            self._end()
        elif not mask & EPOLLIN:
            self._lose()

    def _salvage(self) -> None:
        """The backend takes no more of the request; what it had answered by then is still relayed."""
        while self._asker is not None:
            try:
                data = self._stream.read()
            except OSError:
                data = None
            if data:
                self._begun = True
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
        try:
            if self._response is None:
                self._receive_head(asker, self._buffer + data if self._buffer else data)
            elif self._body is None:
                self._relay(asker, data)
            else:
                passed, left = self._body.take(data)
                self._relay(asker, passed)
                self._complete_if_done(asker, left)
        except Refusal as refusal:
            self._asker = None
            self.close()
            self._pool.release(self, reusable=False)
            asker.misanswered(refusal)

    def _receive_head(self, asker: Asker, data: bytes) -> None:
        start = 0
        while True:
            end = data.find(HEAD_END, start) + 4
            if end == 3 or end - start > MOST_HEAD_BYTES:
                self._await_head(data[start:])
                return
            response = parse_response(data[start:end], asker.request, closes=asker.must_close())
            start = end
            if not response.is_interim:
                break
            if not asker.request.is_http10:
                self._relay(asker, response.head)
        self._buffer = b""
        self._response = response
        self._body = response.body
        if response.switches:
            asker.switched()
            self._relay(asker, response.head + data[start:])
            return
        self._begin_body(asker, response, memoryview(data)[start:])

    def _begin_body(self, asker: Asker, response: Response, data: memoryview) -> None:
        """The head and what came of the body with it are relayed at once, copied no oftener than that takes."""
        body, left = response.body, b""
        if body is None:
            left = bytes(data)
            self._relay(asker, response.head)
        elif isinstance(body, Fixed) and body.take_all(len(data)):
            self._relay(asker, response.head + data)
        else:
            passed, left = body.take(bytes(data))
            self._relay(asker, response.head + passed)
        self._complete_if_done(asker, left)

    def _await_head(self, data: bytes) -> None:
        if len(data) > MOST_HEAD_BYTES:
            raise Refusal(502, "The head of the app's answer is too large.")
        if breaks_a_head(data, 0):
            raise Refusal(502, "The app's answer breaks the rules of HTTP.")
        self._buffer = data

    def _relay(self, asker: Asker, data: bytes) -> None:
        """The client may vanish while it is sent to: then this connection is closed already."""
        if data and self._asker is asker and not asker.relay(data):
            self._stream.pause()

    def _complete_if_done(self, asker: Asker, left: bytes) -> None:
        body, response = self._body, self._response
        if self._asker is not asker or response is None or (body is not None and not body.done):
            return
        reusable = response.keep_alive and not left and asker.has_asked() and not self._stream.unsent
        self._complete(asker, reusable=reusable, closes=response.closes)

    def _complete(self, asker: Asker, *, reusable: bool, closes: bool) -> None:
        self._asker = None
        if reusable:
            self._stream.resume()
        else:
            self.close()
        self._pool.release(self, reusable=reusable)
        asker.finished(closes=closes)

    def _end(self) -> None:
        """The backend has no more to send."""
        asker, response = self._asker, self._response
        if asker is None:
            return
        if response is not None and response.switches:
            self._stream.pause()
            asker.ended()
        elif isinstance(self._body, UntilClose):
            self._complete(asker, reusable=False, closes=True)
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
            self._pool.release(self, reusable=False)
        if asker is not None:
            asker.lost(loss)
