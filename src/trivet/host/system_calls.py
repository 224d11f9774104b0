"""System calls that a sealed process may not make, because Landlock does not ask: a small seccomp filter.

`prlimit(2)` on another process: with a limit on CPU time or open files one app could end another, or the supervisor.
Reading limits, and setting one's own (pid 0, as `setrlimit`, `ulimit` and every library do it), stays.
`ioctl(2)` with TIOCSTI or TIOCLINUX: a one-off on a person's terminal could type commands for the shell behind it.
https://docs.kernel.org/userspace-api/seccomp_filter.html; the machine is classic BPF, linux/filter.h.
"""

import ctypes
import errno
import os
import struct
import sys

from trivet.host.script import Script

_SET_MODE_FILTER, _SPECULATION_STAYS = 1, 1 << 2  # else kernels before 5.16 slow every filtered process down
_LOAD, _MASK, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _PID_AT, _REQUEST_AT = (
    0,
    4,
    16,
    24,
)  # struct seccomp_data; an argument's low half comes first
_NEW_LIMIT_AT = (32, 36)
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_INSTRUCTION = struct.Struct("=HBBI")
_X32_BIT = 0x40000000
_LARGEST_OF_32_BITS = 2**31 - 1
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_CALLS = {  # AUDIT_ARCH_* of linux/audit.h, prlimit, ioctl; 32-bit programs have numbers of their own
    "x86_64": ((0xC000003E, 302, 16), (0x40000003, 340, 54)),
    "aarch64": ((0xC00000B7, 261, 29), (0x40000028, 369, 54)),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


class Filter:
    """The filter, put together ahead: whoever is to be filtered, a child that was just forked, has no time for it."""

    def __init__(self, libc: ctypes.CDLL) -> None:
        """The library is loaded with `use_errno`."""
        self._libc = libc
        machine = os.uname().machine
        self._call = _SECCOMP.get(machine) if sys.maxsize > _LARGEST_OF_32_BITS else None
        self._code = _program(_CALLS[machine]) if self._call is not None else b""
        self._program = _Program(len(self._code) // _INSTRUCTION.size, self._code)

    def refuse(self) -> None:
        """This process and its children cannot set limits of others nor type into terminals, on x86-64 and 64-bit ARM.

        It has `no_new_privs`. Nothing happens on a kernel without seccomp filters. Raises: OSError.
        """
        if self._call is None:
            return
        program = ctypes.byref(self._program)
        if self._libc.syscall(self._call, _SET_MODE_FILTER, _SPECULATION_STAYS, program) < 0:
            number = ctypes.get_errno()
            if number not in (errno.ENOSYS, errno.EINVAL):
                raise OSError(number, os.strerror(number), "filter its system calls")

    def write_refusing(self, script: Script) -> None:
        """The script does as `refuse`."""
        if self._call is not None:
            program = script.place(struct.pack("=H6xQ", self._program.length, script.place(self._code)))
            flags = (_SET_MODE_FILTER, _SPECULATION_STAYS)
            script.call(self._call, *flags, program, unless=errno.EINVAL)


def _program(calls: tuple[tuple[int, int, int], tuple[int, int, int]]) -> bytes:
    """Jumps are (if true, if false), counted from the next instruction; 19 allows and 20 refuses."""
    (own, own_prlimit, own_ioctl), (small, small_prlimit, small_ioctl) = calls
    low, high = _NEW_LIMIT_AT
    instructions = (
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_IF_EQUAL, 0, 4, own),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_MASK, 0, 0, ~_X32_BIT & 0xFFFFFFFF),
        (_JUMP_IF_EQUAL, 7, 0, own_ioctl),
        (_JUMP_IF_EQUAL, 4, 13, own_prlimit),
        (_JUMP_IF_EQUAL, 0, 12, small),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_IF_EQUAL, 3, 0, small_ioctl),
        (_JUMP_IF_EQUAL, 0, 9, small_prlimit),
        (_LOAD, 0, 0, _PID_AT),
        (_JUMP_IF_EQUAL, 7, 3, 0),
        (_LOAD, 0, 0, _REQUEST_AT),
        (_JUMP_IF_EQUAL, 6, 0, _TIOCSTI),
        (_JUMP_IF_EQUAL, 5, 4, _TIOCLINUX),
        (_LOAD, 0, 0, low),
        (_JUMP_IF_EQUAL, 0, 3, 0),
        (_LOAD, 0, 0, high),
        (_JUMP_IF_EQUAL, 0, 1, 0),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    )
    return b"".join(_INSTRUCTION.pack(*each) for each in instructions)
