"""Space: how much of a disk is free for an ordinary user, and how much of it is kept free."""

import os
from pathlib import Path

from trivet.errors import MachineError

_KEPT_BYTES = 50 * 10**6
_KEPT_PART = 100  # of a disk so small that this is less
_LOW_BYTES = 250 * 10**6
_LOW_PART = 20
_HINT = "Free some space (df -h shows where) and run the command again."


def free_bytes(folder: Path) -> int:
    """How much is free where the folder lies, or will lie. Raises: MachineError."""
    present = next(path for path in (folder, *folder.parents) if path.exists())
    return _free_and_total(present)[0]


def total_bytes(folder: Path) -> int:
    """How large the folder's disk is."""
    return _free_and_total(folder)[1]


def is_low(folder: Path) -> bool:
    """Whether so little is free that what can be spared should go. Never of a disk that does not tell its size (ramfs)."""
    free_bytes, total_bytes = _free_and_total(folder)
    return free_bytes < min(_LOW_BYTES, total_bytes // _LOW_PART)


def require_space(folder: Path, least_bytes: int) -> None:
    """So much is free on the folder's disk. Raises: MachineError."""
    free_bytes = _free_and_total(folder)[0]
    if free_bytes < least_bytes:
        raise MachineError(
            f"Too little space to build: {_megabytes(free_bytes)} are free on the disk of {folder}, "
            f"and it takes at least {_megabytes(least_bytes)}.",
            hint=_HINT,
        )


def keep_space(folder: Path) -> None:
    """So much is free that what else runs on this machine goes on. Raises: MachineError."""
    free_bytes, total_bytes = _free_and_total(folder)
    if free_bytes < min(_KEPT_BYTES, total_bytes // _KEPT_PART):
        raise MachineError(
            f"The disk is full: the build was ended when {_megabytes(free_bytes)} were left on the disk of {folder}.",
            hint=_HINT,
        )


def _free_and_total(folder: Path) -> tuple[int, int]:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
