"""A process that answers requests, as the door sees it: what is in flight there, and idle connections to it."""

import socket
from collections.abc import Callable
from errno import EINPROGRESS
from pathlib import Path

from trivet.host.sockets import reach_unix
from trivet.run.door.asker import Asker
from trivet.run.door.loop import Loop
from trivet.run.door.upstream import Pool, Upstream

_MOST_IDLE = 256
_IDLE_S = 4.0  # below the keep-alive of node, uvicorn and hypercorn (5 s): the door closes first
# What may be sent only once goes into no connection that is about to be closed: neither right after an answer, where
# some apps close without having said so, nor near the end of gunicorn's keep-alive (2 s).
_SETTLED_S = 0.005
_SURE_S = 1.0
_REFUSED_S = 0.02  # how long a backend that took no connection is left alone


class Backend(Pool):
    """One process of one release on this machine. `is_leaving`: it gets no new request.

    `host` is where it is reached, or `socket` if that is a Unix socket; `identity` is (process, release, port): then the port
    is no more than a name. `released` is called after each request that
    ends here. `drained` and `cut_off` count what was in flight when it began to leave: answered since, and cut off by us or
    by its end.
    """

    __slots__ = (
        "_idle",
        "_in_flight",
        "_loop",
        "busy",
        "cut_off",
        "host",
        "identity",
        "is_leaving",
        "refused_until",
        "released",
        "requests",
        "socket",
    )

    def __init__(self, loop: Loop, identity: tuple[str, int, int], released: Callable[["Backend"], None]) -> None:
        self._loop = loop
        self._idle: list[Upstream] = []
        self.host = "127.0.0.1"
        self.socket: Path | None = None
        self.identity = identity
        self.released = released
        self.busy: set[Upstream] = set()
        self._in_flight = 0
        self.cut_off = 0
        self.is_leaving = False
        self.refused_until = 0.0
        self.requests = 0

    @property
    def port(self) -> int:
        return self.identity[2]

    @property
    def idle_connections(self) -> int:
        return len(self._idle)

    def serve(self, asker: Asker) -> None:
        """The request is on its way here. Raises: OSError: this backend takes none, nothing of it was sent."""
        upstream = self._idle.pop() if self._idle and asker.takes_any() else self._take_sure(asker)
        if upstream is not None and self._begin(upstream, asker):
            return
        upstream = Upstream(self._loop, self, self._connect())
        if not self._begin(upstream, asker):
            raise ConnectionRefusedError("the backend takes no connection")

    @property
    def drained(self) -> int:
        """How many of the requests that were in flight when it began to leave have ended well since."""
        return self._in_flight - self.cut_off - len(self.busy)

    def come_back(self) -> None:
        """Requests come here, from the first or again."""
        self.is_leaving = False
        self.refused_until = 0.0

    def leave(self) -> None:
        """No new request comes here, and no idle connection is left: a process told to end waits for none."""
        if not self.is_leaving:
            self._in_flight, self.cut_off = len(self.busy), 0
        self.is_leaving = True
        while self._idle:
            self._idle.pop().close()

    def cut(self) -> None:
        """No request is in flight here any more."""
        for upstream in list(self.busy):
            upstream.cut()

    def release(self, upstream: Upstream) -> None:
        self.busy.discard(upstream)
        if self.is_leaving or len(self._idle) >= _MOST_IDLE:
            upstream.close()
        else:
            self._idle.append(upstream)
            deadline = self._loop.now + _IDLE_S
            if upstream.filed_at <= deadline:  # it will be looked at in time
                upstream.deadline = deadline
            else:
                self._loop.set_deadline(upstream, deadline)
        if self.is_leaving:
            self.released(self)

    def drop(self, upstream: Upstream) -> None:
        self.busy.discard(upstream)
        if self.is_leaving:
            self.released(self)

    def lose(self, upstream: Upstream) -> None:
        self.cut_off += upstream in self.busy
        self.drop(upstream)

    def refused(self) -> None:
        self.refused_until = self._loop.now + _REFUSED_S

    def forget_idle(self, upstream: Upstream) -> None:
        if upstream in self._idle:
            self._idle.remove(upstream)

    def _begin(self, upstream: Upstream, asker: Asker) -> bool:
        self.busy.add(upstream)
        try:
            upstream.begin(asker)
        except OSError:
            self.busy.discard(upstream)
            upstream.close()
            return False
        self.requests += 1
        return True

    def _take_sure(self, asker: Asker) -> Upstream | None:
        """An idle connection that will not be closed just now, for what can be sent only once; None: a new one is safer."""
        if not self._idle or asker.wants_fresh():
            return None
        for upstream in list(self._idle):
            age_s = self._loop.now - (upstream.deadline - _IDLE_S)
            if age_s < _SETTLED_S:
                return None
            if age_s < _SURE_S:
                self._idle.remove(upstream)
                if upstream.is_silent():
                    return upstream
                upstream.close()
        return None

    def _connect(self) -> socket.socket:
        if self.socket is not None:
            return reach_unix(self.socket)
        connection = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET, socket.SOCK_STREAM)
        connection.settimeout(0)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = connection.connect_ex((self.host, self.port))
        if code not in (0, EINPROGRESS):
            connection.close()
            raise OSError(code, "cannot connect")
        return connection
