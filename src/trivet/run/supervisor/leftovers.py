"""What ended processes leave behind is cleared away beside the loop: it must not hold up what runs.

A large tree takes its time, and so does a look at all processes of the machine: a daemon that an app started has left its
session, and only its environment says whose it is.
"""

import contextlib
import os
import select
from functools import partial
from pathlib import Path

from trivet.host import processes, spawn
from trivet.host.cgroup import Cgroup
from trivet.host.descendants import end_lost
from trivet.run.leftovers import clear_away, clear_away_groups, mark
from trivet.run.supervisor.loop import Loop
from trivet.run.supervisor.orphans import Orphans

_GATHERED_FOR_S = 0.05  # many processes may end at once, and what is started again goes first
_ENDS_WITHIN_S = 15.0


class Leftovers:
    """Temporary folders whose processes have ended. One forked child at a time clears away all that has gathered."""

    def __init__(self, loop: Loop, orphans: Orphans | None) -> None:
        """`orphans`: where no control groups say who started whom."""
        self._loop = loop
        self._orphans = orphans
        self._folders: list[Path] = []
        self._groups: list[Cgroup] = []
        self._pidfd: int | None = None

    def take(self, temporary: str) -> None:
        """The folder, if there was one, will be gone soon, with what still runs of the process whose it was."""
        if not temporary:
            return
        folder = Path(temporary)
        with contextlib.suppress(OSError):  # it is not empty
            folder.rmdir()
        self._gather()
        self._folders.append(folder)

    def take_group(self, group: Cgroup) -> None:
        """The group will be gone soon, with what still runs in it."""
        self._gather()
        self._groups.append(group)

    def finish(self) -> None:
        """All is cleared away, or has taken too long. Nothing else is done meanwhile."""
        while self._is_waiting or self._pidfd is not None:
            self._begin()
            poll = select.poll()
            poll.register(self._pidfd or 0, select.POLLIN)
            if not poll.poll(_ENDS_WITHIN_S * 1000):
                return
            self._on_end()

    @property
    def _is_waiting(self) -> bool:
        return bool(self._folders or self._groups)

    def _gather(self) -> None:
        if not self._is_waiting and self._pidfd is None:
            self._loop.after(_GATHERED_FOR_S, self._begin)

    def _begin(self) -> None:
        if self._pidfd is not None or not self._is_waiting:
            return
        folders, self._folders = self._folders, []
        groups, self._groups = self._groups, []
        self._pidfd = spawn.fork_off(partial(self._clear_away, folders, groups, os.getpid()))
        self._loop.watch(self._pidfd, self._on_end)

    def _clear_away(self, folders: list[Path], groups: list[Cgroup], reaper: int) -> None:
        clear_away_groups(groups)
        if self._orphans is not None:
            end_lost(reaper, frozenset(self._orphans.own()), tuple(map(mark, folders)))
        clear_away(folders)

    def _on_end(self) -> None:
        pidfd, self._pidfd = self._pidfd, None
        if pidfd is not None:
            self._loop.forget(pidfd)
            processes.exit_of(pidfd)
            os.close(pidfd)
        self._begin()
