"""A timer on the wall clock: timerfd_create(2). It is told when somebody sets the clock, and sleeps through no suspend.

Python's own came with 3.13 (os.timerfd_create); libc has had it since 2008.
"""

import contextlib
import ctypes
import os

_CLOCK_REALTIME = 0
_ABSOLUTE, _CANCEL_ON_SET = 1, 2
_NEVER_S = 2**40  # it has to be set to be told of the clock


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _Time), ("value", _Time))


class WallTimer:
    """Readable when its moment has come, or the clock was set. Close it."""

    def __init__(self) -> None:
        """Raises: OSError."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = int(self._libc.timerfd_create(_CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC))
        if self._descriptor < 0:
            raise _failed()

    def fileno(self) -> int:
        """To be watched."""
        return self._descriptor

    def set(self, moment_s: float | None) -> None:
        """The moment is this one (seconds since the epoch; None: none), and no other. Raises: OSError."""
        whole = _NEVER_S if moment_s is None else max(1, int(moment_s))
        setting = _Setting(_Time(0, 0), _Time(whole, 0))
        flags = _ABSOLUTE | _CANCEL_ON_SET
        if self._libc.timerfd_settime(self._descriptor, flags, ctypes.byref(setting), None) < 0:
            raise _failed()

    def heed(self) -> None:
        """It is no longer readable."""
        with contextlib.suppress(OSError):  # ECANCELED: the clock was set
            os.read(self._descriptor, 8)

    def close(self) -> None:
        """It is no more."""
        os.close(self._descriptor)


def _failed() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), "set a timer")
