"""Holes: the front of a file is given back to the disk while somebody appends to it. Offsets and size stay as they are.

fallocate(2), lseek(2). ext4, XFS, btrfs, tmpfs and what lies on them (overlayfs) can do that; ramfs, FAT and NFS before 4.2
cannot.
"""

import ctypes
import errno
import os
from pathlib import Path

_KEEP_SIZE, _PUNCH_HOLE = 0x1, 0x2
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV)
_BLOCK_BYTES = 65536
_MOST_ZEROS_BYTES = 4 * 1024 * 1024  # the largest block of a file system, a huge page of tmpfs, is zeroed in part


def punch(descriptor: int, end: int) -> bool:
    """All before `end` takes no room and reads as zeros. False: this file system cannot do that. Raises: OSError.

    Whatever happens meanwhile, nothing from `end` on is touched.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    call = getattr(libc, "fallocate64", libc.fallocate)  # glibc; musl has 64 bits always
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    if call(descriptor, _KEEP_SIZE | _PUNCH_HOLE, 0, end) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number))


def can_punch(folder: Path) -> bool:
    """Whether files in the folder can be given back in part; tried on one that has no name. Raises: OSError."""
    descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, b"x")
        return punch(descriptor, 1)
    finally:
        os.close(descriptor)


def first_byte(descriptor: int, start: int = 0) -> int:
    """The offset of the first byte from `start` on that is no zero, where what was punched ends; the size if there is none.

    Of more than a few megabytes of zeros that do take room it is where the next of them is.
    """
    size = os.fstat(descriptor).st_size
    try:
        offset = os.lseek(descriptor, start, os.SEEK_DATA)
    except OSError as error:
        return size if error.errno == errno.ENXIO else start
    for _ in range(_MOST_ZEROS_BYTES // _BLOCK_BYTES):
        block = os.pread(descriptor, _BLOCK_BYTES, offset)
        rest = block.lstrip(b"\0")
        if rest or not block:
            return offset + len(block) - len(rest)
        offset += len(block)
    return offset


def end_of_data(descriptor: int, start: int, end: int) -> int:
    """From here to `end` nothing takes room, and a block before that something does; `start`, if nothing does at all."""
    if not _has_data(descriptor, start, end):
        return start
    low, high = start, end
    while high - low > _BLOCK_BYTES:
        middle = (low + high) // 2
        low, high = (middle, high) if _has_data(descriptor, middle, end) else (low, middle)
    return high


def _has_data(descriptor: int, start: int, end: int) -> bool:
    try:
        return os.lseek(descriptor, start, os.SEEK_DATA) < end
    except OSError as error:
        return error.errno != errno.ENXIO
