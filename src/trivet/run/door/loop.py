"""The door's one loop: `epoll`, a wheel of deadlines, and a guard that keeps one connection's trouble to itself.

It sleeps until something happens: with nothing connected there is no timer and no CPU is used.
"""

import heapq
import select
import socket
from collections.abc import Callable
from time import monotonic

NEVER = float("inf")
_BATCH = 256
_SOON_S = 0.005


class Watched:
    """What the loop calls. A base class, not a Protocol: `typing` would cost the process half a megabyte.

    `ready` gets the epoll mask; `fail` closes it after an error of ours; `expire` is called once `deadline` (monotonic
    seconds) has passed. `filed_at` belongs to the loop.
    """

    __slots__ = ("deadline", "filed_at")

    def __init__(self) -> None:
        self.deadline = NEVER
        self.filed_at = NEVER

    def ready(self, mask: int) -> None:
        raise NotImplementedError

    def fail(self) -> None:
        raise NotImplementedError

    def expire(self) -> None:
        raise NotImplementedError


class Loop:
    """Descriptors and deadlines, and who is called for each. `now` is the time of the present round."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self.now = monotonic()
        self.report = report
        self._epoll = select.epoll()
        self._watched: dict[int, Watched] = {}
        self._wheel: dict[float, set[Watched]] = {}
        self._slots: list[int] = []
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._closing: list[socket.SocketType] = []
        self._later: list[Callable[[], None]] = []
        self._running = True

    def watch(self, fd: int, mask: int, watched: Watched) -> None:
        """`watched.ready` is called when the descriptor is."""
        self._epoll.register(fd, mask)
        self._watched[fd] = watched

    def change(self, fd: int, mask: int) -> None:
        """The descriptor, watched already, waits for other events."""
        self._epoll.modify(fd, mask)

    def forget(self, fd: int) -> None:
        """The descriptor is not watched any more, if it was."""
        if self._watched.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def close(self, connection: socket.SocketType) -> None:
        """The socket is forgotten now and closed after this round: its number cannot come back within it.

        It is this process's alone: with its end the kernel watches it no more. One that another process has, too, is
        to be forgotten first (`forget`).
        """
        self._watched.pop(connection.fileno(), None)
        self._closing.append(connection)

    def set_deadline(self, watched: Watched, deadline: float) -> None:
        """`watched.expire` is called within a second after this time; NEVER takes the deadline away."""
        watched.deadline = deadline
        if deadline < watched.filed_at - 1:  # in an earlier slot than it is filed in
            self.cancel(watched)
            watched.deadline = deadline
            self._file(watched)

    def cancel(self, watched: Watched) -> None:
        """The deadline is gone, and the loop holds no reference on its account."""
        watched.deadline = NEVER
        if watched.filed_at != NEVER:
            self._wheel[watched.filed_at].discard(watched)
            watched.filed_at = NEVER

    def call_at(self, when: float, call: Callable[[], None]) -> None:
        """The call is made once, at this monotonic time; it cannot be taken back."""
        self._order += 1
        heapq.heappush(self._calls, (when, self._order, call))

    def call_later(self, call: Callable[[], None]) -> None:
        """The call is made after the next round, or in 5 ms if nothing happens until then."""
        self._later.append(call)

    def guard(self, watched: Watched, call: Callable[[], None]) -> None:
        """The call is made; an error of ours in it is this one's end, and no trouble of the others."""
        try:
            call()
        except Exception as error:  # noqa: BLE001 - the loop outlives any one connection
            self._trouble(watched, error)

    def stop(self) -> None:
        """`run` returns after this round."""
        self._running = False

    def run(self) -> None:
        """Events are handed out until `stop`."""
        watched = self._watched
        while self._running:
            later, self._later = self._later, []
            events = self._epoll.poll(_SOON_S if later else self._timeout_s(), _BATCH)
            self.now = monotonic()
            for fd, mask in events:
                one = watched.get(fd)
                if one is not None:
                    try:
                        one.ready(mask)
                    except Exception as error:  # noqa: BLE001 - the loop outlives any one connection
                        self._trouble(one, error)
            for call in later:
                self._attempt(call)
            if self._closing:
                self._close_all()
            if self._slots or self._calls:
                self._run_timers()

    def _trouble(self, watched: Watched, error: Exception) -> None:
        self.report(_describe(error))
        self._attempt(watched.fail)

    def _attempt(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - as above
            self.report(_describe(error))

    def _close_all(self) -> None:
        for connection in self._closing:
            connection.close()
        self._closing.clear()

    def _timeout_s(self) -> float:
        until = min(self._slots[0] if self._slots else NEVER, self._calls[0][0] if self._calls else NEVER)
        return -1 if until == NEVER else max(0.0, until - monotonic())

    def _file(self, watched: Watched) -> None:
        slot = int(watched.deadline) + 1
        watched.filed_at = slot
        if slot not in self._wheel:
            self._wheel[slot] = set()
            heapq.heappush(self._slots, slot)
        self._wheel[slot].add(watched)

    def _run_timers(self) -> None:
        while self._calls and self._calls[0][0] <= self.now:
            self._attempt(heapq.heappop(self._calls)[2])
        while self._slots and self._slots[0] <= self.now:
            slot = heapq.heappop(self._slots)
            due = self._wheel[slot]
            while due:
                self._due(due.pop())
            del self._wheel[slot]

    def _due(self, watched: Watched) -> None:
        """Deadlines move far more often than they pass: one that moved on is filed anew only here."""
        watched.filed_at = NEVER
        if watched.deadline <= self.now:
            try:
                watched.expire()
            except Exception as error:  # noqa: BLE001 - as above
                self._trouble(watched, error)
        elif watched.deadline != NEVER:
            self._file(watched)


def _describe(error: BaseException) -> str:
    """The error, and where in the door it came from; no data of a request is in it."""
    places = []
    trace = error.__traceback__
    while trace is not None:
        places.append(f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return f"{type(error).__name__} at {' > '.join(places[-4:])}"
