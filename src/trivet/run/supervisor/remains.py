"""What is left of a session after its leader ended: watched until the last of it has ended too."""

import os
from functools import partial

from trivet.host import processes
from trivet.run.supervisor.loop import Action, Loop


class Remains:
    """The processes that a leader has left behind. `gone` is called once, when all have ended."""

    def __init__(self, loop: Loop, session: int, gone: Action) -> None:
        self._loop = loop
        self._gone = gone
        self._pidfds: set[int] = set()
        for pid in processes.session_members(session):
            self._watch(pid)
        if not self._pidfds:
            loop.soon(self._finish)

    def close(self) -> None:
        """Nobody waits any more; `gone` is not called."""
        self._gone = _nothing
        for pidfd in tuple(self._pidfds):
            self._forget(pidfd)

    def _watch(self, pid: int) -> None:
        started = processes.start_time(pid)
        pidfd = processes.find_again(pid, started) if started is not None else None
        if pidfd is not None:
            self._pidfds.add(pidfd)
            self._loop.watch(pidfd, partial(self._on_exit, pidfd))

    def _on_exit(self, pidfd: int) -> None:
        self._forget(pidfd)
        if not self._pidfds:
            self._finish()

    def _forget(self, pidfd: int) -> None:
        self._pidfds.discard(pidfd)
        self._loop.forget(pidfd)
        os.close(pidfd)

    def _finish(self) -> None:
        gone, self._gone = self._gone, _nothing
        gone()


def _nothing() -> None:
    return
