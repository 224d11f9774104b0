"""Processes that were left to the supervisor: started by one that has ended since. It is the reaper of all that it starts.

prctl(2), PR_SET_CHILD_SUBREAPER.
"""

from collections.abc import Callable, Collection

from trivet.host import processes
from trivet.run.supervisor.loop import Alarm, Loop

_AGAIN_S = 0.5


class Orphans:
    """Reaps them. `own` tells the pids of those that the supervisor has started itself, which are reaped elsewhere."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._again: Alarm | None = None
        self.own: Callable[[], Collection[int]] = tuple

    def reap(self) -> None:
        """No orphan that has ended is left, unless a child of our own, not reaped yet, stands before it: then soon."""
        while (pid := processes.ended_child()) is not None:
            if pid in self.own():
                self._look_again()
                return
            processes.reap(pid)

    def _look_again(self) -> None:
        if self._again is None:
            self._again = self._loop.after(_AGAIN_S, self._try_again)

    def _try_again(self) -> None:
        self._again = None
        self.reap()
