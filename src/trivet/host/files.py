"""Durable files: create once, replace, make directories, remove. Each returns when file and directory are on disk.

The verbs follow tessera's POSIX storage: after a crash a reader finds the old content or the new, never half of one.
"""

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

from trivet.errors import MachineError
from trivet.host.processes import start_time

_SMALL_BYTES = 64 * 1024
_OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NO_NAMELESS_FILES = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)
_TEMPORARY = re.compile(r"\..+?\.(?P<pid>[0-9]{1,10})(\.[0-9a-f]{8})?")


def create_once(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """The file exists with this content; it did not exist before. Raises: FileExistsError, MachineError."""
    try:
        descriptor = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno not in _NO_NAMELESS_FILES:
            raise refused(error, f"write {path}") from error
        _create_beside(path, content, mode)
        return
    try:
        _create_nameless(descriptor, path, content, mode)
    finally:
        os.close(descriptor)


def replace(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """The file has this content, whatever it held before. Raises: MachineError."""
    temporary = _write_beside(path, content, mode)
    _put(temporary, path)


def replace_link(path: Path, target: str) -> None:
    """The path is a symbolic link to the target, whatever link it was before. Raises: OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    _put(temporary, path)


def _put(temporary: Path, path: Path) -> None:
    """It stands in the path's place, on disk; or it is gone. Raises: OSError."""
    try:
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
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


def sweep(folder: Path) -> None:
    """No file is left that somebody who is gone by now has written beside the one it was to become.

    Ours count too: call it before writing there. What cannot be removed is left. The folder may be missing.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208
    except OSError:
        return
    for name in names:
        match = _TEMPORARY.fullmatch(name)
        if match and (int(match["pid"]) == os.getpid() or start_time(int(match["pid"])) is None):
            with contextlib.suppress(OSError):
                (folder / name).unlink()


def remove_tree(path: Path) -> None:
    """The tree is gone, read-only folders and all; symbolic links in it are not followed, nor is what moves meanwhile.

    The tree's parent is trusted, what lies in the tree is not: it may be changed under our hands, so that every step goes
    from an open folder to a name in it. Folders in folders are moved up to the top first: no depth is too deep.
    Raises: OSError, the first refusal, after everything that can be removed is gone.
    """
    try:
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        with contextlib.suppress(FileNotFoundError):
            _remove(path.name, parent)
    finally:
        os.close(parent)


def sync_directory(path: Path) -> None:
    """The names in the directory are on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(path: Path) -> None:
    """All that was written to the file system of the path is on disk: one call for a whole tree. syncfs(2)."""
    import ctypes  # 10 ms that only a layer that is new needs

    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))
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


def _remove(name: str, parent: int) -> None:
    if not stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
        os.unlink(name, dir_fd=parent)
        return
    top = _open_folder(name, parent)
    try:
        _Emptying(top).finish()
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=parent)


class _Emptying:
    """Empties an open folder, in rounds: what one round moved up into it, a later one takes away."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._refusal: OSError | None = None

    def finish(self) -> None:
        while self._over(self._top, self._dissolve):
            self._refusal = None
        if self._refusal is not None:
            raise self._refusal

    def _over(self, folder: int, act: Callable[["os.DirEntry[str]"], bool]) -> bool:
        """It was done with every entry, as far as it could be; whether anything changed."""
        changed = False
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    changed = act(entry) or changed
                except FileNotFoundError:
                    continue
                except OSError as error:
                    self._refusal = self._refusal or error
        return changed

    def _dissolve(self, entry: "os.DirEntry[str]") -> bool:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.name, dir_fd=self._top)
            return True
        folder = _open_folder(entry.name, self._top)
        try:
            changed = self._over(folder, partial(self._take_out, folder))
        finally:
            os.close(folder)
        try:
            os.rmdir(entry.name, dir_fd=self._top)
        except OSError as error:
            self._refusal = self._refusal or error
            return changed
        return True

    def _take_out(self, folder: int, entry: "os.DirEntry[str]") -> bool:
        if entry.is_dir(follow_symlinks=False):
            os.close(_open_folder(entry.name, folder))  # a folder that may not be written may not be moved either
            os.rename(entry.name, os.urandom(8).hex(), src_dir_fd=folder, dst_dir_fd=self._top)
        else:
            os.unlink(entry.name, dir_fd=folder)
        return True


def _open_folder(name: str, parent: int) -> int:
    """A descriptor of the folder, which its owner may now read and change. Raises: OSError, if it is none any more."""
    found = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        if os.fstat(found).st_mode & 0o700 != 0o700:
            os.chmod(f"/proc/self/fd/{found}", 0o700)  # noqa: PTH101  # exactly this folder, whatever the name is by now
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=found)
    finally:
        os.close(found)


def _create_nameless(descriptor: int, path: Path, content: bytes, mode: int) -> None:
    """The file gets its name once it is whole: whoever is killed before leaves nothing. open(2), O_TMPFILE."""
    try:
        _fill(descriptor, content, mode)
        # Given a folder, Python calls linkat(2), which follows the link in /proc to the file.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
        sync_directory(path.parent)
    except FileExistsError:
        raise
    except OSError as error:
        raise refused(error, f"write {path}") from error


def _create_beside(path: Path, content: bytes, mode: int) -> None:
    temporary = _write_beside(path, content, mode)
    try:
        os.link(temporary, path)
        sync_directory(path.parent)
    finally:
        temporary.unlink()


def _write_beside(path: Path, content: bytes, mode: int) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            _fill(descriptor, content, mode)
        finally:
            os.close(descriptor)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise refused(error, f"write {path}") from error
    return temporary


def _fill(descriptor: int, content: bytes, mode: int) -> None:
    os.fchmod(descriptor, mode)
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
    os.fsync(descriptor)
