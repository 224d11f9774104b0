"""Call filter: system calls that a confined command may not make, since neither namespaces nor Landlock ask: seccomp.

Keyrings belong to a person, not to a namespace; io_uring makes calls that no filter sees; the others have been ways out
of a namespace before, and no build needs them (containers go without them, too). Of sockets only the usual kinds are left:
vsock, for one, leads past every network namespace to whoever runs this machine. On a machine that the command shares with
others it gets no socket at all, or, with the network, none of the Unix kind, through which it would reach the services of
the machine; and no memory, semaphores or queues that it could share with them.
https://docs.kernel.org/userspace-api/seccomp_filter.html; the machine is classic BPF, linux/filter.h.
"""

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path

_SET_MODE_FILTER, _SPECULATION_STAYS = 1, 1 << 2
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16  # struct seccomp_data; the low half comes first
_ALLOW, _REFUSE, _UNKNOWN = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
_INSTRUCTION = struct.Struct("=HBBI")
_FIRST_OF_X32 = 0x40000000
_LARGEST_OF_32_BITS = 2**31 - 1
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_*, linux/audit.h
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SOCKET = {"x86_64": 41, "aarch64": 198}
_ALWAYS = {
    "x86_64": (
        *(248, 249, 250),  # add_key request_key keyctl
        *(246, 320),  # kexec_load kexec_file_load
        *(298, 304, 321, 323),  # perf_event_open open_by_handle_at bpf userfaultfd
        *(425, 426, 427),  # io_uring_setup io_uring_enter io_uring_register
    ),
    "aarch64": (217, 218, 219, 104, 294, 241, 265, 280, 282, 425, 426, 427),
}
_SHARING = {"x86_64": (29, 30, 64, 68, 240), "aarch64": (194, 196, 190, 186, 180)}  # shmget shmat semget msgget mq_open


class Calls(Enum):
    """Which system calls are left to a command: on a machine of its own, or on a shared one with or without network."""

    OF_OWN_MACHINE = auto()
    WITH_NETWORK = auto()
    WITHOUT_NETWORK = auto()


_FAMILIES = {
    Calls.OF_OWN_MACHINE: (_UNIX, _INET, _INET6, _NETLINK),
    Calls.WITH_NETWORK: (_INET, _INET6, _NETLINK),
    Calls.WITHOUT_NETWORK: (),
}


def leave(calls: Calls, libc: ctypes.CDLL) -> None:
    """This process and its children can make no other calls, for ever, on x86-64 and 64-bit ARM; no 32-bit ones there.

    It has `no_new_privs`; the library is loaded with `use_errno`. Nothing happens where `can_filter` says no.
    Raises: OSError.
    """
    if not can_filter():
        return
    machine = os.uname().machine
    code = b"".join(_INSTRUCTION.pack(*each) for each in _program(calls, machine))
    program = _Program(len(code) // _INSTRUCTION.size, code)
    if libc.syscall(_SECCOMP[machine], _SET_MODE_FILTER, _SPECULATION_STAYS, ctypes.byref(program)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "filter its system calls")


def can_filter() -> bool:
    """Whether this machine's calls are known here, and its kernel filters them."""
    known = os.uname().machine in _ARCHITECTURES and sys.maxsize > _LARGEST_OF_32_BITS
    return known and Path("/proc/sys/kernel/seccomp").is_dir()


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _program(calls: Calls, machine: str) -> Iterator[tuple[int, int, int, int]]:
    """Jumps are (if true, if false), counted from the next instruction."""
    refused: tuple[int, ...] = _ALWAYS[machine]
    if calls is not Calls.OF_OWN_MACHINE:
        refused = (*refused, *_SHARING[machine])
    yield (_LOAD, 0, 0, _ARCHITECTURE_AT)
    yield (_JUMP_IF_EQUAL, 1, 0, _ARCHITECTURES[machine])
    yield (_RETURN, 0, 0, _UNKNOWN)
    yield (_LOAD, 0, 0, _NUMBER_AT)
    yield (_JUMP_IF_AT_LEAST, 0, 1, _FIRST_OF_X32)
    yield (_RETURN, 0, 0, _UNKNOWN)
    for number in refused:
        yield (_JUMP_IF_EQUAL, 0, 1, number)
        yield (_RETURN, 0, 0, _REFUSE)
    yield (_JUMP_IF_EQUAL, 1, 0, _SOCKET[machine])
    yield (_RETURN, 0, 0, _ALLOW)
    yield (_LOAD, 0, 0, _FIRST_ARGUMENT_AT)
    for family in _FAMILIES[calls]:
        yield (_JUMP_IF_EQUAL, 0, 1, family)
        yield (_RETURN, 0, 0, _ALLOW)
    yield (_RETURN, 0, 0, _REFUSE)
