"""The clock on the wall, for what is to happen at a time of day; everything else uses the monotonic one, of the loop."""

import time

from trivet.host.wall_timer import WallTimer
from trivet.run.supervisor.loop import Action, Loop


class WallClock:
    """This machine's. Nothing wakes up but at the moment, or when somebody sets the clock."""

    def __init__(self, loop: Loop) -> None:
        """Raises: OSError."""
        self._loop = loop
        self._timer = WallTimer()
        self._action: Action = _nothing
        loop.watch(self._timer.fileno(), self._on_time)

    def now_s(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def wake_at(self, moment_s: float | None, action: Action) -> None:
        """The action is done at this moment (None: at none) and when the clock is set; what was to be done before is not."""
        self._action = action
        self._timer.set(moment_s)

    def close(self) -> None:
        """Nothing is done any more."""
        self._loop.forget(self._timer.fileno())
        self._timer.close()

    def _on_time(self) -> None:
        self._timer.heed()
        self._action()


def _nothing() -> None:
    return
