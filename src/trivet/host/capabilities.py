"""Root's powers, but for the few that ordinary programs of root need: the others are given up before an app begins.

capabilities(7); numbers from linux/capability.h and linux/prctl.h. Some powers pass before Landlock is asked:
CAP_PERFMON and CAP_SYS_ADMIN, for one, read every process's environment.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterator

from trivet.host.script import Script

_PR_CAPBSET_READ, _PR_CAPBSET_DROP = 23, 24
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 2, 4
_PR_SET_SECUREBITS = 28
_NO_SETUID_FIXUP, _LOCKED = 1 << 2, 1 << 3
_DAC_READ_SEARCH = 2
_CAPSET, _PRCTL = 126, 157  # in scripts
_VERSION_3 = 0x20080522
_HEADER = struct.Struct("=Ii")  # struct __user_cap_header_struct: version, pid
_SETS = struct.Struct("=6I")  # struct __user_cap_data_struct twice: effective, permitted, inheritable; low half first

# What Docker leaves to a container, without MKNOD (a disk's node), SYS_CHROOT, SETFCAP and NET_RAW (forged packets).
KEPT = (
    0,  # CHOWN
    1,  # DAC_OVERRIDE
    3,  # FOWNER
    4,  # FSETID
    5,  # KILL
    6,  # SETGID: like SETUID, to become another user for good
    7,  # SETUID
    8,  # SETPCAP: to give up still more
    10,  # NET_BIND_SERVICE
    29,  # AUDIT_WRITE: without it PAM, and so su and runuser, refuses root
)
_KEPT_BITS = sum(1 << number for number in KEPT)


class Powers:
    """This process's capabilities, as they are now. What is to be given up is worked out ahead: a child has no time."""

    def __init__(self, libc: ctypes.CDLL) -> None:
        """The library is loaded with `use_errno`. Raises: OSError."""
        self._libc = libc
        self._others = tuple(number for number in _bounding_set(libc) if number not in KEPT)
        self._header = ctypes.create_string_buffer(_HEADER.pack(_VERSION_3, 0), _HEADER.size)
        sets = ctypes.create_string_buffer(_SETS.size)
        _checked(libc.capget(self._header, sets))
        permitted_low, permitted_high = _SETS.unpack(sets.raw)[1::3]
        low, high = _KEPT_BITS & 0xFFFFFFFF & permitted_low, _KEPT_BITS >> 32 & permitted_high
        passing = 1 << _DAC_READ_SEARCH & permitted_low
        self._kept = _sets((low, low, 0, high, high, 0))
        self._kept_to_pass = _sets((low, low | passing, passing, high, high, 0))
        self._passing = _sets((passing, passing, passing, 0, 0, 0))

    def give_up_others(self, *, passes: bool = False) -> None:
        """This process, or a child of it, has none but the kept ones, and neither it nor a child can get others.

        For good only with `no_new_privs`: whoever may not touch the bounding set (it takes SETPCAP) could have them back
        from a program of root. If it is to be a user who `passes`, that power stays within reach. Raises: OSError.
        """
        _checked(self._libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
        for number in self._others:
            if passes and number == _DAC_READ_SEARCH:
                continue
            if self._libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) < 0:
                _check_refusal(ctypes.get_errno())
        _checked(self._libc.capset(self._header, self._kept_to_pass if passes else self._kept))

    def keep_over_next_user(self) -> None:
        """Its powers stay when this process becomes another user, and for access(2) as for open(2). Raises: OSError."""
        _checked(self._libc.prctl(_PR_SET_SECUREBITS, _NO_SETUID_FIXUP | _LOCKED, 0, 0, 0))

    def pass_only(self) -> None:
        """This process and its children have the one power to go and read where only root may. Raises: OSError."""
        _checked(self._libc.capset(self._header, self._passing))
        _checked(self._libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _DAC_READ_SEARCH, 0, 0))

    def write_giving_up(self, script: Script, *, passes: bool) -> None:
        """The script does as `give_up_others`."""
        script.call(_PRCTL, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
        for number in self._others:
            if not passes or number != _DAC_READ_SEARCH:
                script.call(_PRCTL, _PR_CAPBSET_DROP, number, unless=errno.EPERM)
        self._write_sets(script, self._kept_to_pass if passes else self._kept)

    def write_keeping(self, script: Script) -> None:
        """The script does as `keep_over_next_user`."""
        script.call(_PRCTL, _PR_SET_SECUREBITS, _NO_SETUID_FIXUP | _LOCKED)

    def write_passing_only(self, script: Script) -> None:
        """The script does as `pass_only`."""
        self._write_sets(script, self._passing)
        script.call(_PRCTL, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _DAC_READ_SEARCH)

    def _write_sets(self, script: Script, sets: "ctypes.Array[ctypes.c_char]") -> None:
        script.call(_CAPSET, script.place(self._header.raw), script.place(sets.raw))


def _sets(words: tuple[int, ...]) -> "ctypes.Array[ctypes.c_char]":
    return ctypes.create_string_buffer(_SETS.pack(*words), _SETS.size)


def _bounding_set(libc: ctypes.CDLL) -> Iterator[int]:
    number = 0
    while (bounded := libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0)) >= 0:
        if bounded:
            yield number
        number += 1


def _check_refusal(number: int) -> None:
    if number != errno.EPERM:
        raise OSError(number, os.strerror(number), "give up a capability")


def _checked(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "give up capabilities")
