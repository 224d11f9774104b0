"""What holds one process and all that it starts: a control group where there are any, and what is known of its memory."""

import contextlib
import os
from functools import partial

from trivet.host import processes
from trivet.host.cgroup import Cgroup
from trivet.host.processes import Exit
from trivet.host.spawn import Cell
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.process import Limits
from trivet.run.holding import owner_of
from trivet.run.supervisor.yard import Yard

_LOOKS, _LOOK_S = 20, 0.05


@frozen
class Ending:
    """How a process ended: `shown` in a table ("exit 1"), `told` in a sentence ("exited with 1")."""

    shown: str
    told: str


class Hold:
    """Of one process, over all its starts. Whose it is and how it is called names its group."""

    __slots__ = ("_group", "_is_counted", "_is_spent", "_kills", "_limits", "_name", "_owner", "_watched", "_yard")

    def __init__(self, yard: Yard, name: tuple[Deploy, str], limits: Limits) -> None:
        self._yard = yard
        self._owner, self._name = owner_of(name[0]), name[1]
        self._limits = limits
        self._group: Cgroup | None = None
        self._is_spent = False  # it was killed, and nothing may be started in it any more
        self._kills = 0
        self._is_counted = False  # since it was, what is counted more is its own
        self._watched = -1

    @property
    def group(self) -> Cgroup | None:
        """What it and all that it has started are in."""
        return self._group

    @property
    def is_clean(self) -> bool:
        """Whether it is certain that nothing is left of what it held: it has ended by itself, in its group."""
        return self._group is not None and self._group.unified is not None and not self._is_spent

    def begin(self) -> Cell | None:
        """What the process is to be started in; None: there is nothing. Raises: OSError."""
        yard = self._yard
        if self._group is not None and (self._is_spent or not self._group.is_there):
            self.close()
        if self._group is None:
            self._group = yard.cgroups.make(self._owner, self._name, self._limits)
            self._is_counted = False
        if not self._is_counted:
            self._kills, self._is_counted = self._count(), True
        self._watch()
        return None if self._group is None else Cell(self._group, yard.cloner, bool(self._limits.controllers))

    def adopt(self, pid: int) -> None:
        """The process, found running, is held by the group that it is in."""
        self._group = self._yard.cgroups.find(pid)
        with contextlib.suppress(OSError):  # it is held all the same
            self._kills, self._is_counted = self._count(), True
            self._watch()

    def rest(self) -> None:
        """The process is not started again at once: what happens meanwhile does not happen to it."""
        self._is_counted = False

    def kill(self) -> None:
        """All that the process has started is killed, wherever it went, if there is a group."""
        self._forget()
        self._end_all()

    def ending(self, ended: Exit, *, was_told: bool) -> Ending:
        """How it ended, and whether for want of memory, as far as that is known; not if it `was_told` to end."""
        counted = self._count()
        kills, self._kills = counted - self._kills, counted
        if kills <= 0:
            return Ending(str(ended), ended.told)
        group = self._group
        if group is not None and group.memory_kills() is not None:
            where = group.where_memory_ran_out(self._limits)
            return Ending(f"out of memory ({where})", f"ran out of memory ({where})")
        if was_told or not ended.is_killed:
            return Ending(str(ended), ended.told)
        meanwhile = "meanwhile the machine ran out of memory, and its kernel ended processes"
        return Ending(str(ended), f"{ended.told} ({meanwhile})")

    def close(self) -> None:
        """Nothing is held any more; the group is gone once all in it has ended."""
        self._forget()
        group, self._group = self._group, None
        self._is_spent = False
        if group is not None and not group.remove():
            self._yard.leftovers.take_group(group)

    def _count(self) -> int:
        counted = self._group.memory_kills() if self._group is not None else None
        return processes.memory_kills() if counted is None else counted

    def _watch(self) -> None:
        if self._group is not None and (watched := self._group.watch_memory()) >= 0:
            self._watched = watched
            self._yard.loop.watch(watched, self._on_want)

    def _on_want(self) -> None:
        """Version 1 ends the largest process alone: as in version 2 they all end, so that nothing is left half alive."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._watched)
        self._look(_LOOKS)

    def _look(self, times: int) -> None:
        """It is told just before the kernel ends one, and counts it."""
        if self._watched < 0:
            return
        if self._count() > self._kills:
            self._end_all()
        elif times:
            self._yard.loop.after(_LOOK_S, partial(self._look, times - 1))

    def _end_all(self) -> None:
        if self._group is not None and self._group.pids():
            self._group.kill()
            self._is_spent = True

    def _forget(self) -> None:
        if self._watched >= 0:
            self._yard.loop.forget(self._watched)
            os.close(self._watched)
            self._watched = -1
