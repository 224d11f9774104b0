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

_POLL_S = 0.05

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
    with contextlib.suppress(OSError):  # a full disk: whoever waits is not told for whom, but the lock is held
        os.pwrite(descriptor, holder.encode(errors="replace"), 0)


def _take(descriptor: int, operation: int, waiting: Waiting | None, what: str, *, wait: bool) -> None:
    told = False
    while True:
        try:
            fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            holder = os.pread(descriptor, 4096, 0).decode(errors="replace").strip() or "another command"
            if not wait:
                raise Busy(f"{holder} is at work on {what}.", hint="Wait for it to end, then try again.") from error
            if waiting is not None and not told:
                waiting(holder)
                told = True
            time.sleep(_POLL_S)
