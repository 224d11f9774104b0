"""Scratch: the folder of one build while it is made. It goes with its build, however that ends.

A build holds a kernel lock on the lock file beside its folder; what a killed build left has nobody holding it: `sweep`,
with which every build begins, removes it together with the processes that belonged to it.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from trivet.build.environment import home_folder
from trivet.host.descendants import end_processes_marked
from trivet.host.files import make_directories, remove_tree
from trivet.host.lock import hold

_GATE = "gate"
_LOCK = ".lock"


@contextlib.contextmanager
def scratch_folder(root: Path) -> Iterator[Path]:
    """An empty folder of our own below the root inside the block, with `home` and `tmp`; it is gone afterwards."""
    make_directories(root, mode=0o700)
    folder = root / f"{os.getpid()}.{os.urandom(4).hex()}"
    with _gate(root):
        lock = _open_locked(_lock_of(folder), os.O_CREAT)
    assert lock is not None
    try:
        home_folder(folder).mkdir(parents=True, mode=0o700)
        (folder / "tmp").mkdir()
        yield folder
    finally:
        _remove(folder, lock)


def sweep(root: Path) -> None:
    """What killed builds left is gone, their processes too. Costs next to nothing where there is nothing to sweep."""
    if not any(root.glob(f"*{_LOCK}")):
        return
    with _gate(root):
        for path in root.glob(f"*{_LOCK}"):
            lock = _open_locked(path)
            if lock is not None:
                folder = path.with_suffix("")
                for inner in folder.glob("*/scratch"):  # of a build that was checked, in a home of its own
                    sweep(inner)
                end_processes_marked(f"HOME={home_folder(folder)}")
                _remove(folder, lock)


def _gate(root: Path) -> contextlib.AbstractContextManager[None]:
    """Held while lock files are made and swept, so that none is taken for stale before its build holds it."""
    return hold(root / _GATE, "Another build", wait=True)


def _remove(folder: Path, lock: int) -> None:
    """The folder goes first: as long as it is there, so is its lock file."""
    remove_tree(folder)
    _lock_of(folder).unlink(missing_ok=True)
    os.close(lock)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + _LOCK)


def _open_locked(path: Path, flags: int = 0) -> int | None:
    """A descriptor that holds the lock until it is closed; None if a living build holds it or has just ended."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
