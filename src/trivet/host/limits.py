"""Limits: how much time, memory, processes and disk a command and all that it starts may take, and who looks.

All of it is looked at while the command runs. Between two looks the kernel stops what forks without end, where it can (a
limit of the user, or of the process namespace), at sixteen times the number that a look ends. A look costs what reading
/proc costs, so looks keep a distance that leaves them a twentieth of the time; the number of threads on the machine, which
is cheap to read, calls for one sooner.
"""

import contextlib
import os
import re
import resource
import time
from pathlib import Path

from trivet.errors import InputError, LimitReached
from trivet.host.descendants import list_descendants
from trivet.host.space import keep_space
from trivet.model.frozen import frozen

_LEAST_PAUSE_S = 0.1
_COST_FACTOR = 20
_GLANCE_S = 0.02
_OWN_PID_MAX = (6, 14)  # the first kernel whose pid_max belongs to a process namespace; before, to the whole machine
_LEAST_PID_MAX = 301
_BETWEEN_LOOKS = 16
_FIRST_TO_GO = "1000"
_EXAMPLE = "Write for example TRIVET_BUILD_LIMITS='time=7200 memory=8G processes=4096 disk=100G'; time is in seconds."


@frozen
class Limits:
    """What a build may take: bytes of memory and number of processes at once, bytes below `folder`, `time_s` in all.

    `ends_s` is when that time is over, on the clock of `time.monotonic`.
    """

    folder: Path
    time_s: float
    ends_s: float
    memory_bytes: int
    processes: int
    disk_bytes: int


class Watch:
    """Looks, now and then, whether what descends from a process keeps its limits."""

    def __init__(self, limits: Limits, parent: int) -> None:
        self._limits = limits
        self._parent = parent
        self._next_s = time.monotonic() + _LEAST_PAUSE_S
        self._threads = _threads_of_machine()

    def pause_s(self) -> float:
        """How long there is nothing to look at."""
        return max(0.0, min(self._next_s, self._limits.ends_s, time.monotonic() + _GLANCE_S) - time.monotonic())

    def look(self) -> None:
        """Raises: LimitReached, MachineError if the disk is about to be full."""
        began = time.monotonic()
        if began >= self._limits.ends_s:
            raise _reached(f"longer than {self._limits.time_s:g} s", "time")
        keep_space(self._limits.folder)
        if began < self._next_s and not self._has_multiplied():
            return
        pids = list_descendants(self._parent)
        if len(pids) >= self._limits.processes:
            raise _reached(f"more than {self._limits.processes} processes", "processes")
        if sum(map(_resident_bytes, pids)) > self._limits.memory_bytes:
            raise _reached(f"more than {self._limits.memory_bytes / 1e6:.0f} MB of memory", "memory")
        if _used_bytes(self._limits.folder) > self._limits.disk_bytes:
            raise _reached(f"more than {self._limits.disk_bytes / 1e6:.0f} MB of disk", "disk")
        ended = time.monotonic()
        self._next_s = ended + max(_LEAST_PAUSE_S, _COST_FACTOR * (ended - began))
        self._threads = _threads_of_machine()

    def _has_multiplied(self) -> bool:
        return _threads_of_machine() - self._threads > self._limits.processes // 2


def hold_processes(limits: Limits, *, in_namespace: bool) -> None:
    """The kernel stops this process and its children from outrunning the looks, as far as it can; and too large files."""
    most = _BETWEEN_LOOKS * limits.processes
    _lower(resource.RLIMIT_FSIZE, limits.disk_bytes)
    _lower(resource.RLIMIT_CORE, 0)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)  # before what runs, if memory is short
    if in_namespace and _kernel() >= _OWN_PID_MAX:
        with contextlib.suppress(OSError):
            Path("/proc/sys/kernel/pid_max").write_text(str(max(_LEAST_PID_MAX, most)))
    if in_namespace and os.geteuid() != 0:  # a user namespace counts for itself; root is never counted
        _lower(resource.RLIMIT_NPROC, most)


def default_limits(folder: Path, chosen: str) -> Limits:
    """The limits of a build that begins now: an hour, 8 of 10 bytes of memory, 2,048 processes, 50 GB; or as chosen.

    Chosen is text such as `time=7200 memory=8G processes=4096 disk=100G`. Raises: InputError.
    """
    machine_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    values = {"time": 3600, "memory": machine_bytes * 8 // 10, "processes": 2048, "disk": 50 * 10**9}
    for word in chosen.replace(",", " ").split():
        match = re.fullmatch(r"(?:(time|processes)=([1-9][0-9]{0,6})|(memory|disk)=([1-9][0-9]{0,6})([MGT]))", word)
        if match is None:
            raise InputError(f"TRIVET_BUILD_LIMITS has {word!r}, which is no limit.", hint=_EXAMPLE)
        name, number = match[1] or match[3], int(match[2] or match[4])
        values[name] = number * 1000 ** " KMGT".index(match[5] or " ")
    time_s = float(values["time"])
    return Limits(folder, time_s, time.monotonic() + time_s, values["memory"], values["processes"], values["disk"])


def _reached(what: str, name: str) -> LimitReached:
    return LimitReached(
        f"The build took {what} and was ended.",
        hint=f"If that is what it needs, raise the limit: TRIVET_BUILD_LIMITS={name}=… (docs/reference/environment.md).",
    )


def _threads_of_machine() -> int:
    """How many there are; proc_loadavg(5)."""
    return int(Path("/proc/loadavg").read_bytes().split()[3].partition(b"/")[2])


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def _used_bytes(folder: Path) -> int:
    """What the files below the folder take on disk; what vanishes meanwhile does not count."""
    total, waiting = 0, [str(folder)]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
    return total


def _lower(which: int, limit: int) -> None:
    hard = resource.getrlimit(which)[1]
    least = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(which, (least, least))


def _kernel() -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
