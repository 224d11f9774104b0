"""Files that are watched for growth: one descriptor, readable when any of them has changed. inotify(7)."""

import ctypes
import os
import struct
from pathlib import Path

_CLOEXEC_NONBLOCK = os.O_CLOEXEC | os.O_NONBLOCK  # IN_CLOEXEC, IN_NONBLOCK are the same numbers
_MODIFY, _CREATE, _MOVED_TO, _IGNORED, _ONESHOT = 0x2, 0x100, 0x80, 0x8000, 0x80000000
_EVENT = struct.Struct("iIII")
_READ_BYTES = 65536


class Watcher:
    """Watches files, each for its next change only, or folders for every change within."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._checked(self._libc.inotify_init1(_CLOEXEC_NONBLOCK))

    def fileno(self) -> int:
        """Readable when something that is watched has changed."""
        return self._descriptor

    def watch_next(self, path: Path) -> int:
        """The number under which the file's next change will be told, once. Raises: OSError."""
        return self._add(path, _MODIFY | _ONESHOT)

    def watch_folder(self, path: Path) -> int:
        """Every change of a file in the folder and every new file will be told. Raises: OSError."""
        return self._add(path, _MODIFY | _CREATE | _MOVED_TO)

    def changed(self) -> tuple[int, ...]:
        """The numbers that something has happened to; never waits."""
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return ()
        numbers: list[int] = []
        offset = 0
        while offset < len(data):
            number, mask, _, length = _EVENT.unpack_from(data, offset)
            offset += _EVENT.size + length
            if not mask & _IGNORED:
                numbers.append(number)
        return tuple(numbers)

    def close(self) -> None:
        """Nothing is watched."""
        os.close(self._descriptor)

    def _add(self, path: Path, mask: int) -> int:
        encoded = os.fsencode(path)
        return self._checked(self._libc.inotify_add_watch(self._descriptor, encoded, ctypes.c_uint32(mask)))

    def _checked(self, result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result
