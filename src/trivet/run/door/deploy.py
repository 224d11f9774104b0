"""A deploy as the door sees it: where requests come in, which backends answer them, and who waits while none does."""

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from trivet.model.frozen import frozen
from trivet.run.door.asker import Asker
from trivet.run.door.backend import Backend
from trivet.run.door.loop import Loop

HOLD_S = 10.0
_MOST_HELD = 1000
_RETRY_S = 0.02
_SLOWEST_RETRY_S = 0.25

Identity = tuple[str, int, int]


@frozen
class Target:
    """A process that requests are to go to: (process, release, port), and the Unix socket where it listens instead."""

    identity: Identity
    socket: Path | None = None


class Deploy:
    """The backends of one deploy, and the requests that wait for one. `on_idle` is told of each that has left.

    While the door hands over, `on_rest` is told of each client that has no request any more; None: one has gone.
    `is_proxied`: every new connection begins with the PROXY protocol.
    """

    def __init__(self, loop: Loop, on_idle: Callable[[Backend], None]) -> None:
        self._loop = loop
        self._on_idle = on_idle
        self._turn = 0
        self._retry_s = _RETRY_S
        self._retry_is_due = False
        self.backends: list[Backend] = []
        self.leaving: list[Backend] = []
        self.held: deque[Asker] = deque()
        self.clients: set[Asker] = set()
        self.requests = 0
        self.refused = 0  # what the door answered itself
        self.greeting = 0  # connections that have yet to say whose they are
        self.on_rest: Callable[[Asker | None], None] | None = None
        self.is_stopped = False
        self.is_proxied = False
        self.is_closed = False

    @property
    def connections(self) -> int:
        """How many there are, also of those that have yet to say whose they are."""
        return len(self.clients) + self.greeting

    def route(self, targets: Sequence[Target], *, stopped: bool, host: str = "127.0.0.1") -> None:
        """New requests go to these backends alone, which are reached at this host; what waited goes there at once."""
        known = {backend.identity: backend for backend in self.backends + self.leaving}
        sockets = {target.identity: target.socket for target in targets}
        self.backends = [
            known.pop(identity) if identity in known else Backend(self._loop, identity, self._released)
            for identity in sockets
        ]
        self.leaving = list(known.values())
        self.is_stopped = stopped
        for backend in self.backends:
            backend.host, backend.socket = host, sockets[backend.identity]
            backend.come_back()
        for backend in self.leaving:
            backend.leave()
        self._release_held()

    def report_idle(self) -> None:
        """Backends that leave and have nothing in flight are forgotten, and `on_idle` is told."""
        for backend in [backend for backend in self.leaving if not backend.busy]:
            self.leaving.remove(backend)
            self._on_idle(backend)

    def cut(self, port: int) -> list[Backend]:
        """What was in flight at leaving backends on this port is cut; returns these backends."""
        leaving = [backend for backend in self.leaving if backend.port == port]
        for backend in leaving:
            backend.cut()
        return leaving

    def dispatch(self, asker: Asker) -> None:
        """The request is on its way to the least busy backend, held, or refused."""
        if self.is_stopped:
            asker.refuse(503, "No web process of this app is running.")
            return
        while (backend := self._choose()) is not None:
            try:
                backend.serve(asker)
            except OSError:
                backend.refused_until = self._loop.now + self._retry_s
            else:
                self._retry_s = _RETRY_S
                return
        self._hold(asker)

    def unhold(self, asker: Asker) -> None:
        """The request, if it was held, is not any more."""
        if asker in self.held:
            self.held.remove(asker)

    def rested(self, client: Asker) -> None:
        """The client waits for nothing, and nothing waits for it."""
        if self.on_rest is not None:
            self.on_rest(client)

    def greeted(self) -> None:
        """A connection has said whose it is, or is closed."""
        self.greeting -= 1
        if self.on_rest is not None:
            self.on_rest(None)

    def forget(self, client: Asker) -> None:
        """The client is none of ours any more."""
        self.clients.discard(client)
        if self.on_rest is not None:
            self.on_rest(None)

    def close(self) -> None:
        """No client is served any more, except those with a request under way."""
        self.is_closed = True
        self.route((), stopped=True)
        for client in list(self.clients):
            client.retire()

    def _released(self, backend: Backend) -> None:
        if backend.is_leaving and not backend.busy:
            self.report_idle()

    def _choose(self) -> Backend | None:
        self._turn += 1
        now = self._loop.now
        count = len(self.backends)
        if count == 1:
            only = self.backends[0]
            return only if only.refused_until <= now else None
        chosen = None
        for offset in range(count):
            backend = self.backends[(self._turn + offset) % count]
            if backend.refused_until <= now and (chosen is None or len(backend.busy) < len(chosen.busy)):
                chosen = backend
        return chosen

    def _hold(self, asker: Asker) -> None:
        if len(self.held) >= _MOST_HELD:
            asker.refuse(503, "No process of this app takes connections, and too many requests wait for one already.")
            return
        self.held.append(asker)
        asker.wait()
        if self.backends and not self._retry_is_due:
            self._retry_is_due = True
            self._loop.call_at(self._loop.now + self._retry_s, self._retry)

    def _retry(self) -> None:
        self._retry_is_due = False
        self._retry_s = min(self._retry_s * 1.5, _SLOWEST_RETRY_S)
        self._release_held()

    def _release_held(self) -> None:
        waiting, self.held = self.held, deque()
        for asker in waiting:
            self.dispatch(asker)
