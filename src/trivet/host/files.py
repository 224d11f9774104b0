"""Durable files: create once, replace, make directories, remove. Each returns when file and directory are on disk.

The verbs follow tessera's POSIX storage: after a crash a reader finds the old content or the new, never half of one.
"""

import errno
import os
import stat
from pathlib import Path

from trivet.errors import MachineError

_SMALL_BYTES = 64 * 1024
_OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT)


def create_once(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """The file exists with this content; it did not exist before. Raises: FileExistsError, MachineError."""
    temporary = _write_beside(path, content, mode)
    try:
        os.link(temporary, path)
        sync_directory(path.parent)
    finally:
        temporary.unlink()


def replace(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """The file has this content, whatever it held before. Raises: MachineError."""
    temporary = _write_beside(path, content, mode)
    temporary.replace(path)
    sync_directory(path.parent)


def replace_link(path: Path, target: str) -> None:
    """The path is a symbolic link to the target, whatever link it was before."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(path)
    sync_directory(path.parent)


def make_directories(path: Path, *, mode: int = 0o755) -> None:
    """The directory and its parents exist; those that are new have this mode and are synced. Raises: MachineError."""
    if path.is_dir():
        return
    make_directories(path.parent, mode=mode)
    try:
        path.mkdir(mode=mode, exist_ok=True)
    except OSError as error:
        raise refused(error, f"make the folder {path}") from error
    sync_directory(path.parent)


def remove(path: Path) -> None:
    """The file is gone, if it was there."""
    path.unlink(missing_ok=True)
    if path.parent.is_dir():
        sync_directory(path.parent)


def remove_tree(path: Path) -> None:
    """The tree is gone, read-only folders and all; symbolic links in it are not followed."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(mode):
        path.unlink(missing_ok=True)
        return
    if mode & 0o700 != 0o700:
        path.chmod(0o700)
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                remove_tree(Path(entry.path))
            else:
                Path(entry.path).unlink(missing_ok=True)
    path.rmdir()


def sync_directory(path: Path) -> None:
    """The names in the directory are on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_full(folder: Path) -> bool:
    """Whether the disk that the folder lies on has no room even for a small file."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize < _SMALL_BYTES


def refused(error: OSError, what: str) -> MachineError:
    """The machine's refusal, in words and with a hint. `what` completes "Cannot …"."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _OUT_OF_SPACE:
        return MachineError(
            f"Cannot {what}: the disk is full.", hint="Free some space (df -h shows where) and run the command again."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return MachineError(
            f"Cannot {what}: {reason}.",
            hint="Run Trivet as the user who owns this folder, or choose another with TRIVET_HOME.",
        )
    return MachineError(f"Cannot {what}: {reason}.", hint="Mend this on the machine and run the command again.")


def _write_beside(path: Path, content: bytes, mode: int) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise refused(error, f"write {path}") from error
    return temporary
