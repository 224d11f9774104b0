"""Scratch: the folder of one build while it is made. It goes with its build, however that ends.

Its steps write in `work` alone: what Trivet itself writes meanwhile (the log, the record) stands beside that.

A build holds a kernel lock on the lock file beside its folder; what a killed build left has nobody holding it: `sweep`,
with which every build begins, removes it together with the processes that belonged to it.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from trivet.build.environment import home_folder
from trivet.errors import StepFailed
from trivet.host.descendants import end_processes_marked
from trivet.host.files import make_directories, remove_tree
from trivet.host.lock import hold

_GATE = "gate"
_LOCK = ".lock"
_FOLDERS = ("home", "tmp", "bundle", "source")


@contextlib.contextmanager
def scratch_folder(root: Path) -> Iterator[Path]:
    """An empty folder of our own below the root inside the block, with `work` in it; it is gone afterwards."""
    make_directories(root, mode=0o700)
    folder = root / f"{os.getpid()}.{os.urandom(4).hex()}"
    with _gate(root):
        lock = _open_locked(_lock_of(folder), os.O_CREAT)
    assert lock is not None
    try:
        folder.mkdir(mode=0o700)
        make_folders(folder)
        yield folder
    finally:
        _remove(folder, lock)


def make_folders(scratch: Path) -> None:
    """The scratch folder has the folders that a build begins with."""
    work_folder(scratch).mkdir()
    view_root(scratch).mkdir()
    _furnish(work_folder(scratch))


def _furnish(work: Path) -> None:
    """The folders are there, and uv, which looks for a project and for settings in every folder upwards, stops here."""
    keep_folders(work)
    for name in ("pyproject.toml", "uv.toml"):
        (work / name).touch()


def work_folder(scratch: Path) -> Path:
    """Where the steps of the build work: all that they can write, but for a cache."""
    return scratch / "work"


def view_root(scratch: Path) -> Path:
    """An empty folder that no step can write."""
    return scratch / "view"


def keep_folders(work: Path) -> None:
    """The folders that the build relies on are folders, and `home` and `tmp` are there.

    A step could have left a link in the place of one, which would lead later steps, or Trivet itself, out of it.
    Raises: StepFailed.
    """
    for name in _FOLDERS:
        check_folder(work / name, work)
    home_folder(work).mkdir(mode=0o700, exist_ok=True)
    (work / "tmp").mkdir(exist_ok=True)


def renew_folders(work: Path) -> None:
    """Of all that steps left, the bundle and the source alone are there; `home` and `tmp` are empty.

    So nothing that code of the app wrote is taken for settings or a program by a step that fetches.
    """
    for path in work.iterdir():
        if path.name not in ("bundle", "source"):
            remove_tree(path)
    _furnish(work)


def check_folder(path: Path, work: Path) -> None:
    """What stands there, if anything does, is a folder. Raises: StepFailed."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise StepFailed(
            f"A command of the build put something else in the place of its folder {str(path.relative_to(work))!r}.",
            hint="A build may do in its folders what it likes, but has to leave them where they are. "
            "`trivet builds log failed` shows all the output.",
        )


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
                end_processes_marked(f"HOME={home_folder(work_folder(folder))}")
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
