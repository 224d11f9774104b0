"""Processes that others started, found wherever they went: below us, or by a variable in their environment.

A daemon leaves its group, its session and its parent. It cannot leave its reaper (prctl(2), PR_SET_CHILD_SUBREAPER), and
seldom changes the environment that it was started with.
"""

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from trivet.errors import MachineError
from trivet.host.processes import environment

_PR_SET_CHILD_SUBREAPER = 36
_END_DEADLINE_S = 10.0
_POLL_S = 0.002
_LOOKS = 5


@contextlib.contextmanager
def reaping() -> Iterator[None]:
    """What descends from this process since the block began is gone after it. Raises: MachineError, if it is not.

    But for what those start that were there before: the supervisor may be one, if this command has started it.
    """
    before, began = frozenset(_own_descendants()), _now_ticks()
    _set_subreaper(on=True)
    try:
        yield
    finally:
        try:
            # What is older than the block became ours by the death of one of those.
            _end_all(lambda: [pid for pid, start in _own_descendants(before) if start >= began], reap=True)
        finally:
            _set_subreaper(on=False)


def become_reaper() -> None:
    """Whoever descends from this process becomes its child when its own parent ends."""
    _set_subreaper(on=True)


def end_processes_marked(*variables: str) -> None:
    """No other process runs whose environment holds one of these `NAME=value`. Raises: MachineError, if one does."""
    _end_all(lambda: _marked(frozenset(map(os.fsencode, variables))), reap=False)


def find_processes_marked(variables: Collection[str]) -> dict[int, str]:
    """Every other process whose environment holds one of these `NAME=value`, with the one it holds, by pid."""
    wanted = frozenset(map(os.fsencode, variables))
    if not wanted:
        return {}
    return {pid: os.fsdecode(next(iter(held))) for pid, held in _held(wanted)}


def _marked(wanted: frozenset[bytes]) -> Iterator[int]:
    return (pid for pid, _ in _held(wanted)) if wanted else iter(())


def _held(wanted: frozenset[bytes]) -> Iterator[tuple[int, frozenset[bytes]]]:
    found = ((pid, _holds(pid, wanted)) for pid in _pids() if pid != os.getpid())
    return ((pid, held) for pid, held in found if held)


def end_lost(reaper: int, living: Collection[int], variables: Collection[str]) -> None:
    """No orphan of the reaper runs whose origin has ended, as far as can be told. The caller is a child of the reaper.

    Its environment may hold one of these `NAME=value`. A process that left its session and cleared its environment does not
    say who started it: it was one that began before it did, so if none of the `living`, which the reaper keeps, is as old,
    that one has ended. What an app has started cannot lose `no_new_privs`, so that nothing else is hit; nor is anything, if
    the reaper has that itself. One that is replaced by a child of its own all the time is soon seen as the reaper's child.
    """
    starts = [facts[1] for pid in living if (facts := _parent_and_start(pid))]
    oldest = min(starts, default=_now_ticks())
    wanted = frozenset(map(os.fsencode, variables))
    if not _is_confined(reaper):
        _end_all(
            lambda: (
                pid
                for pid, start in _children(reaper)
                if pid not in living and _is_confined(pid) and (start < oldest or _holds(pid, wanted))
            ),
            reap=False,
            looks=_LOOKS,
        )


def _children(parent: int) -> Iterator[tuple[int, int]]:
    """Pid and start time of each. The kernel tells them at once, unless it was built without (CONFIG_PROC_CHILDREN)."""
    try:
        pids = [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    except OSError:
        pids = _pids()
    for pid in pids:
        facts = _parent_and_start(pid)
        if facts and facts[0] == parent:
            yield pid, facts[1]


def _is_confined(pid: int) -> bool:
    try:
        return b"NoNewPrivs:\t1" in Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return False


def _end_all(find: Callable[[], Iterable[int]], *, reap: bool, looks: int = 1) -> None:
    """Killed as they are found, again and again until none is: what forks while it is looked for is found the next time."""
    until = time.monotonic() + _END_DEADLINE_S
    empty = 0
    while empty < looks:
        last = None
        for pid in find():
            last = pid
            _kill(pid)
            if reap:
                _reap(pid)
        empty = empty + 1 if last is None else 0
        if last is not None and time.monotonic() > until:
            raise _cannot_be_ended(last)
        if empty < looks:
            select.select((), (), (), _POLL_S)


def _now_ticks() -> int:
    """Now, in the clock ticks since the boot in which /proc tells start times."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):  # a grandchild: it becomes ours when its parent is reaped
        os.waitpid(pid, os.WNOHANG)


def _cannot_be_ended(pid: int) -> MachineError:
    return MachineError(
        f"A process that a command started cannot be ended (pid {pid}).",
        hint="It hangs in the kernel, often in a file system. `ps -o stat,wchan -p PID` shows where.",
    )


def _set_subreaper(*, on: bool) -> None:
    import ctypes  # 10 ms that only a running command needs

    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)


def list_descendants(parent: int) -> list[int]:
    """The pid of the process and of every process below it."""
    return [parent, *(pid for pid, _ in _descendants(parent))]


def _own_descendants(others: Collection[tuple[int, int]] = ()) -> list[tuple[int, int]]:
    """As `_descendants` of this process, which as a reaper has none if it has no child; then /proc need not be read."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []
    return _descendants(os.getpid(), others)


def _descendants(parent: int, others: Collection[tuple[int, int]] = ()) -> list[tuple[int, int]]:
    """Pid and start time of every process below that one, but for `others` and what is below them."""
    parents = {pid: facts for pid in _pids() if (facts := _parent_and_start(pid))}
    found: list[tuple[int, int]] = []
    level = {parent}
    while level:
        below = {pid for pid, (above, _) in parents.items() if above in level}
        level = {pid for pid in below if (pid, parents[pid][1]) not in others}
        found.extend((pid, parents[pid][1]) for pid in level)
    return found


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - names are all that is needed


def _parent_and_start(pid: int) -> tuple[int, int] | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[1]), int(fields[19])


def _holds(pid: int, wanted: frozenset[bytes]) -> frozenset[bytes]:
    """Which of these the environment holds. It is not taken apart: a process may have filled it with millions of nothings."""
    names = {each.partition(b"=")[0] for each in wanted}
    text = b"\0" + environment(pid) if names else b""
    return wanted.intersection(value for name in names for value in _values(text, b"\0" + name + b"="))


def _values(text: bytes, begin: bytes) -> Iterator[bytes]:
    at = text.find(begin)
    while at >= 0:
        end = text.find(b"\0", at + 1)
        yield text[at + 1 : end if end >= 0 else len(text)]
        at = text.find(begin, at + 1)
