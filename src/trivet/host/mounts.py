"""Memory file systems: where a file is never on a disk, but for swap, and gone after a reboot."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_OPEN_TO_APPS = Path("/dev/shm")  # every app may write there: sandbox.py


def find_memory_folder() -> Path | None:
    """The folder on a memory file system that is there for us: /run for root, else the person's own runtime folder.

    Nobody else can write in it. None: this machine has none.
    """
    folders = (path for path in _candidates() if is_ours(path) and is_in_memory(path))
    return next((path for path in folders if not path.resolve().is_relative_to(_OPEN_TO_APPS)), None)


def is_in_memory(path: Path) -> bool:
    """Whether the file system that the path lies on keeps it in memory. Raises: OSError."""
    device = path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    # https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html: optional fields end with "-", the type is next.
    mounts = (line.split(" ") for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return any(fields[2] == number and fields[fields.index("-") + 1] in _IN_MEMORY for fields in mounts)


def is_ours(path: Path) -> bool:
    """Whether it is a folder of our user, no link to one, in which nobody else may write."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _candidates() -> Iterator[Path]:
    if os.geteuid() == 0:
        yield Path("/run")
    if chosen := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(chosen)
    yield Path(f"/run/user/{os.geteuid()}")  # where systemd puts it, for whom cron or su left the variable away
