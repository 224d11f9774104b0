"""Loans: a file that somebody works with is not removed under their hands. A borrower that is killed holds nothing."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trivet.host.files import refused


@contextmanager
def borrowed(path: Path) -> Iterator[None]:
    """`remove_unless_borrowed` leaves the file alone inside the block. Raises: FileNotFoundError, if it is gone."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)  # whoever holds it alone is about to remove it, and waits for nothing
        if not _is_there(path, descriptor):
            raise FileNotFoundError(path)
        yield
    finally:
        os.close(descriptor)


def remove_unless_borrowed(path: Path) -> bool:
    """The file is gone, unless somebody has borrowed it; whether it is gone. Raises: MachineError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except OSError as error:
        raise refused(error, f"remove {path}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    except OSError as error:
        raise refused(error, f"remove {path}") from error
    finally:
        os.close(descriptor)
    return True


def _is_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
