"""One control group: a process and all that it starts, held to its limits and ended together, wherever they went."""

import contextlib
import os
import signal
from collections.abc import Mapping

from trivet.model.frozen import frozen
from trivet.model.process import Limits

_PERIOD_US = 100_000
_READ_BYTES = 65536
_LOOKS = 200  # for what forks while it is killed, where the kernel does not kill the group as one


@frozen
class Cgroup:
    """The group's folder in version 2, if that is there, and those in version 1, by controller.

    A process is in it from its start (`clone.Cloner`, then `legacy_entries`), and so is all that it starts.
    """

    unified: str | None
    legacy: Mapping[str, str]

    @property
    def folders(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*((self.unified,) if self.unified else ()), *self.legacy.values())))

    @property
    def is_there(self) -> bool:
        return all(os.access(folder, os.F_OK) for folder in self.folders)

    @property
    def number(self) -> int:
        """No group has it that was made before or after; 0: it is gone."""
        try:
            return os.stat(self.folders[0]).st_ino  # noqa: PTH116
        except OSError:
            return 0

    @property
    def legacy_entries(self) -> tuple[str, ...]:
        """The files into which a process writes "0" to be in the group."""
        return tuple(f"{folder}/cgroup.procs" for folder in dict.fromkeys(self.legacy.values()))

    def make(self) -> bool:
        """Whether the folders are there, new ones; not if one is there already. Raises: OSError.

        Also an empty one may be about to be cleared away, with all that is in it by then.
        """
        if any(os.access(folder, os.F_OK) for folder in self.folders):
            return False
        for folder in self.folders:
            os.mkdir(folder)  # noqa: PTH102 - a path for each of hundreds of processes takes memory
        return True

    def hold(self, limits: Limits, unified_controllers: frozenset[str]) -> None:
        """What is in it is held to those limits that have a controller here. Raises: OSError."""
        for name, write in (("memory", _hold_memory), ("cpu", _hold_cpu), ("pids", _hold_pids)):
            if name in self.legacy:
                write(self.legacy[name], 1, limits)
            elif self.unified is not None and name in unified_controllers:
                write(self.unified, 2, limits)

    def pids(self) -> tuple[int, ...]:
        """Every process in it."""
        return tuple(
            dict.fromkeys(pid for folder in self.folders for pid in map(int, _read(f"{folder}/cgroup.procs").split()))
        )

    def kill(self) -> None:
        """Every process in it has SIGKILL, also what is being forked.

        Nothing may be started in it afterwards: Linux 6.14 and newer kill what is cloned into a group that was ever killed.
        """
        if self.unified is not None:
            with contextlib.suppress(OSError):  # it is gone, or the kernel is older than 5.14
                _write(f"{self.unified}/cgroup.kill", "1")
                return
        for _ in range(_LOOKS):
            pids = self.pids()
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not pids:
                return

    def remove(self) -> bool:
        """Whether the folders are gone: not while a process of it still ends."""
        gone = True
        for folder in self.folders:
            try:
                os.rmdir(folder)  # noqa: PTH106
            except FileNotFoundError:
                continue
            except OSError:
                gone = False
        return gone

    def memory_kills(self) -> int | None:
        """How many of its processes the kernel has ended for want of memory; None if nobody counts."""
        return self._memory_events("oom_kill")

    def reached_memory_limit(self) -> bool:
        """Whether it has asked for more than its own limit, and not only the machine for more than it has."""
        if (folder := self.legacy.get("memory")) is not None:
            most, limit = (_read_number(f"{folder}/memory.{each}_in_bytes") for each in ("max_usage", "limit"))
            return most >= limit
        return bool(self._memory_events("oom"))

    def where_memory_ran_out(self, limits: Limits) -> str:
        """Once the kernel has ended some of it for want of memory: "limit 64 MB", or "of the machine"."""
        is_own = limits.memory_bytes is not None and self.reached_memory_limit()
        return f"limit {limits.memory}" if is_own else "of the machine"

    def throttled(self) -> int | None:
        """How many periods of its time were cut short by its limit of cores; None if nobody counts."""
        folder = self.legacy.get("cpu", self.unified)
        return None if folder is None else _read_counts(f"{folder}/cpu.stat").get("nr_throttled")

    def cpu_s(self) -> float | None:
        """The CPU time of all that has run in it so far; None if nobody counts."""
        if self.unified is not None:
            counted = _read_counts(f"{self.unified}/cpu.stat").get("usage_usec")
            return None if counted is None else counted / 1e6
        text = _read(f"{self.legacy['cpu']}/cpuacct.usage") if "cpu" in self.legacy else b""
        return int(text) / 1e9 if text else None

    def memory_bytes(self) -> int | None:
        """The memory that it holds, but for pages of files that the kernel would give up first; None if nobody counts."""
        name, inactive = "memory.current", "inactive_file"
        if (folder := self.legacy.get("memory", self.unified)) is None:
            return None
        if "memory" in self.legacy:
            name, inactive = "memory.usage_in_bytes", "total_inactive_file"
        text = _read(f"{folder}/{name}")
        return max(0, int(text) - _read_counts(f"{folder}/memory.stat").get(inactive, 0)) if text else None

    def watch_memory(self) -> int:
        """A descriptor that is readable once memory ran out in version 1; -1 where the kernel ends the group by itself.

        The caller closes it.
        """
        folder = self.legacy.get("memory")
        if folder is None:
            return -1
        control = os.open(f"{folder}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
        watched = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            _write(f"{folder}/cgroup.event_control", f"{watched} {control}")
        except OSError:
            os.close(watched)
            raise
        finally:
            os.close(control)
        return watched

    def _memory_events(self, name: str) -> int | None:
        """A count of version 2's memory.events, or of what version 1 has of it."""
        if (folder := self.legacy.get("memory")) is not None:
            return _read_counts(f"{folder}/memory.oom_control").get(name)
        return None if self.unified is None else _read_counts(f"{self.unified}/memory.events").get(name)


def _hold_memory(folder: str, version: int, limits: Limits) -> None:
    """Swap is not counted as more: what would be swapped out is beyond the limit. The group ends as one."""
    if limits.memory_bytes is None:
        return
    if version == 1:
        _write(f"{folder}/memory.limit_in_bytes", str(limits.memory_bytes))
        _write_if_there(f"{folder}/memory.memsw.limit_in_bytes", str(limits.memory_bytes))
        return
    _write(f"{folder}/memory.max", str(limits.memory_bytes))
    _write_if_there(f"{folder}/memory.swap.max", "0")
    _write_if_there(f"{folder}/memory.oom.group", "1")


def _hold_cpu(folder: str, version: int, limits: Limits) -> None:
    if limits.cpus is None:
        return
    quota_us = max(1000, round(limits.cpus * _PERIOD_US))
    if version == 1:
        _write(f"{folder}/cpu.cfs_period_us", str(_PERIOD_US))
        _write(f"{folder}/cpu.cfs_quota_us", str(quota_us))
    else:
        _write(f"{folder}/cpu.max", f"{quota_us} {_PERIOD_US}")


def _hold_pids(folder: str, version: int, limits: Limits) -> None:
    del version  # the file is the same
    if limits.processes is not None:
        _write(f"{folder}/pids.max", str(limits.processes))


def _write(path: str, text: str) -> None:
    """Into a file that the kernel has made. Raises: OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _write_if_there(path: str, text: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        _write(path, text)


def _read_number(path: str) -> int:
    text = _read(path).strip()
    return int(text) if text.isdigit() else 0


def _read_counts(path: str) -> dict[str, int]:
    """A file of names and numbers; none if there is no such file."""
    pairs = (line.split() for line in _read(path).splitlines())
    return {pair[0].decode(): int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _read(path: str) -> bytes:
    """What the file says; nothing if it is not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        parts = []
        while part := os.read(descriptor, _READ_BYTES):
            parts.append(part)
        return b"".join(parts)
    except OSError:  # ENODEV: the group was removed meanwhile
        return b""
    finally:
        os.close(descriptor)
