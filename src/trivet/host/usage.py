"""What processes use of the machine: CPU time, memory, open files, counted together with all that they have started.

That is what is in a process's control group, where it has one. Elsewhere it is the first of its session, and what it starts
belongs to that; what leaves the session is not counted.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from trivet.host.cgroup import Cgroup
from trivet.host.processes import list_pids, read_stat
from trivet.model.load import Usage

_SESSION, _CPU, _RSS = (
    3,
    slice(11, 15),
    21,
)  # proc_pid_stat(5), from the state on; CPU: own and that of children that ended


class Count:
    """Counts up, over as many calls as whoever counts likes: reading of 1,000 processes takes some 20 ms."""

    def __init__(self, pids: Collection[int], groups: Mapping[int, Cgroup], *, files: bool = False) -> None:
        """Of these processes, each the first of its session; `groups`: of those that have one of their own."""
        self._groups = groups
        self._sessions = frozenset(pids) - groups.keys()
        self._files = files
        self._ticks_per_s = os.sysconf("SC_CLK_TCK")
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._usage: dict[int, Usage] = {}

    @property
    def usage(self) -> Mapping[int, Usage]:
        """What was counted, by the process that started it all."""
        return self._usage

    @property
    def is_by_session(self) -> bool:
        """Whether all processes of this machine are to be added, to find those of the sessions."""
        return bool(self._sessions)

    def add_group_of(self, first: int) -> None:
        """All that is in this process's group is counted, if it has one."""
        group = self._groups.get(first)
        for pid in group.pids() if group is not None else ():
            if (fields := read_stat(pid)) is not None:
                self._add(pid, first, fields)
        if group is not None and first in self._usage:
            self._usage[first] = _as_counted(self._usage[first], group)

    def add(self, pids: Iterable[int]) -> None:
        """These processes are counted, if they belong to one of the sessions."""
        for pid in pids:
            fields = read_stat(pid)
            if fields is not None and int(fields[_SESSION]) in self._sessions:
                self._add(pid, int(fields[_SESSION]), fields)

    def _add(self, pid: int, session: int, fields: list[str]) -> None:
        known = self._usage.get(session, Usage())
        files = _open_files(pid) if self._files else None
        self._usage[session] = replace(
            known,
            cpu_s=known.cpu_s + sum(map(int, fields[_CPU])) / self._ticks_per_s,
            memory_bytes=known.memory_bytes + int(fields[_RSS]) * self._page_bytes,
            processes=known.processes + 1,
            open_files=known.open_files if files is None else (known.open_files or 0) + files,
        )


def usage_of(pids: Collection[int], groups: Mapping[int, Cgroup]) -> Mapping[int, Usage]:
    """What each of these has used, with all that it has started; those that are gone are left out."""
    count = Count(pids, groups)
    for first in pids:
        count.add_group_of(first)
    count.add(list_pids() if count.is_by_session else ())
    return count.usage


def usage_of_process(pid: int) -> Usage | None:
    """What this one process has used; None if there is none."""
    fields = read_stat(pid)
    if fields is None:
        return None
    count = Count((int(fields[_SESSION]),), {}, files=True)
    count.add((pid,))
    return count.usage.get(int(fields[_SESSION]))


def _as_counted(usage: Usage, group: Cgroup) -> Usage:
    """With the group's own counts: of pages that are shared, and of what has ended with nobody of it waiting."""
    memory, cpu = group.memory_bytes(), group.cpu_s()
    if memory is not None:
        usage = replace(usage, memory_bytes=memory)
    return usage if cpu is None else replace(usage, cpu_s=cpu, counted_by=group.number)


def _open_files(pid: int) -> int | None:
    try:
        return os.stat(f"/proc/{pid}/fd").st_size or len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH116, PTH208  # size: Linux 6.2
    except OSError:
        return None
