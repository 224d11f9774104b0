"""The reserve: a file that takes room on a disk, so that it can be given up when there is no other."""

import contextlib
import os
from pathlib import Path

from trivet.host.files import is_full
from trivet.host.space import free_bytes, total_bytes

_MOST_BYTES = 4 * 1024 * 1024
_PART = 16  # of a disk so small that this is less


class Reserve:
    """One disk's. Whoever is about to write what must be written may give it up; whoever watches the disk fills it again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def is_there(self) -> bool:
        """Whether there is something to give up."""
        return self._path.exists()

    def fill(self) -> None:
        """The reserve is there, if the disk has three times its size free; it fills no disk."""
        folder = self._path.parent
        size_bytes = min(_MOST_BYTES, total_bytes(folder) // _PART)
        if self.is_there or free_bytes(folder) < 3 * size_bytes:
            return
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, size_bytes)
                temporary.rename(self._path)
            except OSError:
                temporary.unlink(missing_ok=True)
            finally:
                os.close(descriptor)

    def give_up_if_full(self) -> bool:
        """Whether what it took is free now, because nothing else was."""
        if not is_full(self._path.parent) or not self.is_there:
            return False
        with contextlib.suppress(OSError):
            self._path.unlink()
        return True
