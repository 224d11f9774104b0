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


@contextmanager
def hold(path: Path, holder: str, *, wait: bool, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """The lock is held inside the block. `holder` (one line) is what others are told of who holds it.

    `waiting` is called once with the present holder's line before the first wait. Raises: Busy when `wait` is False.
    """
    make_directories(path.parent, mode=0o700)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise refused(error, f"lock {path}") from error
    try:
        _take(descriptor, wait=wait, waiting=waiting)
        _write(descriptor, holder)
        yield
        _write(descriptor, "")
    finally:
        os.close(descriptor)


def _write(descriptor: int, holder: str) -> None:
    os.ftruncate(descriptor, 0)
    with contextlib.suppress(OSError):  # a full disk: whoever waits is not told for whom, but the lock is held
        os.pwrite(descriptor, holder.encode(errors="replace"), 0)


def _take(descriptor: int, *, wait: bool, waiting: Callable[[str], None] | None) -> None:
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            holder = os.pread(descriptor, 4096, 0).decode(errors="replace").strip() or "another command"
            if not wait:
                raise Busy(
                    f"{holder} is at work on this deploy.", hint="Wait for it to end, then try again."
                ) from error
            if waiting is not None and not told:
                waiting(holder)
                told = True
            time.sleep(_POLL_S)
