"""A large file that is there whole or not at all: written in pieces, it gets its name once everything of it is on disk."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from trivet.host.files import sync_directory


@contextlib.contextmanager
def writing(path: Path, *, mode: int = 0o600) -> Iterator[BinaryIO]:
    """The file to write in the block; after it, `path` is this file, whatever it was before. Raises: OSError.

    If the block raises, `path` is as it was, and nothing is left beside it; nor if this process is killed, where the file
    system has files without a name. https://man7.org/linux/man-pages/man2/open.2.html#O_TMPFILE
    """
    beside = path.with_name(f".{path.name[:100]}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor, is_named = _open(beside, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
            if not is_named:
                _give_name(descriptor, beside)
            is_named = True
        beside.replace(path)
        sync_directory(path.parent)
    except BaseException:
        if is_named:
            beside.unlink(missing_ok=True)
        raise


def _give_name(descriptor: int, path: Path) -> None:
    """Through /proc, since only root may name a file by its descriptor alone. linkat(2)"""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:  # Python follows the link in /proc only if it is given a folder to begin in
        os.link(f"/proc/self/fd/{descriptor}", path.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def _open(beside: Path, mode: int) -> tuple[int, bool]:
    with contextlib.suppress(OSError):
        return os.open(beside.parent, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, mode), False
    return os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), True
