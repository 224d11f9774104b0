"""One thread that sleeps until something happens: a descriptor is readable, a moment has come, a signal arrived."""

import heapq
import itertools
import os
import select
import signal
import sys
import time
from collections.abc import Callable

Action = Callable[[], None]


class Alarm:
    """Something that will be done at a moment, unless it is cancelled."""

    __slots__ = ("_action",)

    def __init__(self, action: Action) -> None:
        self._action: Action | None = action

    def cancel(self) -> None:
        """It will not be done."""
        self._action = None

    @property
    def is_cancelled(self) -> bool:
        return self._action is None

    def ring(self) -> None:
        """It is done, once."""
        action, self._action = self._action, None
        if action is not None:
            action()


class Loop:
    """What is waited for, and what is then done. An action that raises is told in the log and ends nothing else."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._actions: dict[int, Action] = {}
        self._alarms: list[tuple[float, int, Alarm]] = []
        self._numbers = itertools.count()
        self._soon: list[Action] = []
        self._on_signals: dict[int, Action] = {}
        self._running = False

    def watch(self, descriptor: int, action: Action, *, writable: bool = False) -> None:
        """The action is done whenever the descriptor is readable (or writable) or has failed."""
        events = select.EPOLLOUT if writable else select.EPOLLIN
        if descriptor in self._actions:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
        self._actions[descriptor] = action

    def forget(self, descriptor: int) -> None:
        """The descriptor is no longer watched. Call it before closing."""
        if self._actions.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def after(self, delay_s: float, action: Action) -> Alarm:
        """The action is done once, this much later."""
        alarm = Alarm(action)
        heapq.heappush(self._alarms, (time.monotonic() + delay_s, next(self._numbers), alarm))
        return alarm

    def soon(self, action: Action) -> None:
        """The action is done once, before anything is waited for again; whoever calls is done first."""
        self._soon.append(action)

    def on_signal(self, numbers: tuple[int, ...], action: Action) -> None:
        """The action is done when one of these signals arrives."""
        if not self._on_signals:
            receiving, sending = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            signal.set_wakeup_fd(sending, warn_on_full_buffer=False)
            self.watch(receiving, lambda: self._heed(receiving))
        for number in numbers:
            signal.signal(number, lambda *_: None)
            self._on_signals[number] = action

    def run(self) -> None:
        """Everything is done as it comes, until `stop`."""
        self._running = True
        while self._running:
            self._do_soon()
            for descriptor, _ in self._epoll.poll(self._patience_s()):
                if action := self._actions.get(descriptor):
                    guarded(action)
            self._ring()

    def stop(self) -> None:
        """`run` returns once the present action is done."""
        self._running = False

    def close(self) -> None:
        """Nothing is watched any more."""
        self._epoll.close()

    def _heed(self, receiving: int) -> None:
        """Each signal that has come, which Python wrote there as its number, is acted on once."""
        for number in dict.fromkeys(os.read(receiving, 4096)):
            if action := self._on_signals.get(number):
                guarded(action)

    def _do_soon(self) -> None:
        while self._soon:
            actions, self._soon = self._soon, []
            for action in actions:
                guarded(action)

    def _patience_s(self) -> float:
        while self._alarms and self._alarms[0][2].is_cancelled:
            heapq.heappop(self._alarms)
        if self._soon or not self._running:
            return 0.0
        return max(0.0, self._alarms[0][0] - time.monotonic()) if self._alarms else -1.0

    def _ring(self) -> None:
        now = time.monotonic()
        while self._alarms and self._alarms[0][0] <= now:
            guarded(heapq.heappop(self._alarms)[2].ring)


def guarded(action: Action) -> None:
    """The action is done; one that raises is told in the log."""
    try:
        action()
    except Exception as error:  # noqa: BLE001  # one deploy's trouble must not end what the others rely on
        sys.excepthook(type(error), error, error.__traceback__)
