"""`python without_bpf.py COMMAND…`: the command, and all that it starts, on a machine that takes no program at a socket.

What Trivet attaches is classic BPF, which needs no capability and does not heed `kernel.unprivileged_bpf_disabled`: what
refuses it is a filter of system calls, or a kernel that has never heard of it.
"""

import ctypes
import errno
import os
import struct
import sys

_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2
_ARCHITECTURES = {"x86_64": (0xC000003E, 54), "aarch64": (0xC00000B7, 208)}  # AUDIT_ARCH_*, the number of setsockopt
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_NUMBER_AT, _ARCHITECTURE_AT, _LEVEL_AT, _OPTION_AT = 0, 4, 24, 32
_SOL_SOCKET, _ATTACH_REUSEPORT_CBPF = 1, 51


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def forbid() -> None:
    """This process and its children can attach no such program, for ever. Raises: OSError."""
    architecture, setsockopt = _ARCHITECTURES[os.uname().machine]
    tests = (
        (_ARCHITECTURE_AT, architecture),
        (_NUMBER_AT, setsockopt),
        (_LEVEL_AT, _SOL_SOCKET),
        (_OPTION_AT, _ATTACH_REUSEPORT_CBPF),
    )
    left = 2 * len(tests) + 1
    code = b""
    for at, wanted in tests:
        left -= 2
        code += struct.pack("=HBBI", _LOAD, 0, 0, at) + struct.pack("=HBBI", _JUMP_IF_EQUAL, 0, left, wanted)
    code += struct.pack("=HBBI", _RETURN, 0, 0, _REFUSE) + struct.pack("=HBBI", _RETURN, 0, 0, _ALLOW)
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(code) // 8, code)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(program)):
        raise OSError(ctypes.get_errno(), "cannot filter system calls")


if __name__ == "__main__":
    forbid()
    os.execvp(sys.argv[1], sys.argv[1:])
