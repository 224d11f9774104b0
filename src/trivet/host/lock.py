"""Locks that belong to the kernel: `flock` on a file that is never removed; a killed holder leaves nothing locked."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trivet.errors import Busy
from trivet.host.files import make_directories, refused

_POLL_S = 0.005
_TELLS_WITHIN_S = 1.0  # who has taken the lock says so at once, unless the machine is very busy

Waiting = Callable[[str], None]


@contextmanager
def hold(
    path: Path, holder: str, *, wait: bool, waiting: Waiting | None = None, what: str = "this deploy"
) -> Iterator[None]:
    """The lock is held inside the block. `holder` (one line) is what others are told of who holds it.

    `waiting` is called once with the present holder's line before the first wait. Raises: Busy when `wait` is False.
    """
    with _opened(path) as descriptor:
        _take(descriptor, fcntl.LOCK_EX, waiting, what, wait=wait)
        _write(descriptor, holder)
        yield
        _write(descriptor, "")


@contextmanager
def share(path: Path, *, wait: bool, waiting: Waiting | None = None, what: str = "this deploy") -> Iterator[None]:
    """Nobody holds the lock alone inside the block, but others may share it. As `hold` otherwise."""
    with _opened(path) as descriptor:
        _take(descriptor, fcntl.LOCK_SH, waiting, what, wait=wait)
        yield


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    make_directories(path.parent, mode=0o700)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise refused(error, f"lock {path}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(descriptor: int, holder: str) -> None:
    os.ftruncate(descriptor, 0)
    with contextlib.suppress(OSError):  # a full disk: whoever waits is told a number only, but the lock is held
        os.pwrite(descriptor, f"{os.getpid()} {holder}".encode(errors="replace") if holder else b"", 0)


def _take(descriptor: int, operation: int, waiting: Waiting | None, what: str, *, wait: bool) -> None:
    """Once whoever waits has been told for whom, the kernel wakes it; a signal's handler may still raise."""
    until = time.monotonic() + _TELLS_WITHIN_S
    while True:
        try:
            fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            holder = _present_holder(descriptor, is_patient=time.monotonic() < until)
            if holder is not None and not wait:
                raise Busy(f"{holder} is at work on {what}.", hint="Wait for it to end, then try again.") from error
        if holder is not None:
            if waiting is not None:
                waiting(holder)
            fcntl.flock(descriptor, operation)
            return
        time.sleep(_POLL_S)


def _present_holder(descriptor: int, *, is_patient: bool) -> str | None:
    """Who holds the lock, in its own words; None if it has not said so yet, and we are patient.

    What stands in the file may be of one that was killed: only the kernel knows who holds it.
    """
    pid, _, line = os.pread(descriptor, 4096, 0).decode(errors="replace").strip().partition(" ")
    holders = _holders(descriptor)
    if line and (pid in holders or not holders):
        return line
    if is_patient and not any(is_sharing for is_sharing in holders.values()):
        return None
    return f"another command (pid {', '.join(holders)})" if holders else "another command"


def _holders(descriptor: int) -> dict[str, bool]:
    """The pids of those that hold the lock, and whether they share it; none where the kernel does not tell. proc_locks(5)"""
    inode = str(os.fstat(descriptor).st_ino)
    try:
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return {}
    return {
        words[4]: words[3] == "READ"
        for words in lines
        if words[1] == "FLOCK" and words[5].rpartition(":")[2] == inode and words[4] != "-1"
    }
