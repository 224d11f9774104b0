"""A script: system calls that a child makes, one after the other, until it is its program; no Python runs in it.

So nothing of this process has to be copied for it: the child shares its memory until it has another (CLONE_VM). A fork of
a Python process of 15 MB takes 0.6 ms, and the pages that Python touches in the child another 1 ms, measured. Whoever
makes the calls are a hundred bytes of machine code: for x86-64 alone, elsewhere there are no scripts.
"""

import ctypes
import errno
import os
import signal
import struct
import sys
from collections.abc import Callable, Iterable

MAY_FAIL = 1

_PAGE_BYTES, _AREA_BYTES, _MOST_KEPT_BYTES = 4096, 4 << 20, 1 << 19  # what is not used takes no memory
_LARGEST_OF_32_BITS = 2**31 - 1
_READ, _WRITE, _EXECUTE = 1, 2, 4  # PROT_*
_PRIVATE_ANONYMOUS, _DONTNEED = 0x22, 4
_VM, _PIDFD, _CHILD_CLEARTID, _INTO_CGROUP = 0x100, 0x1000, 0x200000, 0x200000000
_ARGUMENTS = struct.Struct("=11Q")  # struct clone_args, linux/sched.h
_CALL = struct.Struct("=8Q")  # number, six arguments, and with which error the script goes on all the same
_TOLD = struct.Struct("=4q")  # a pidfd, whether the child still plays, the call that failed, its error
_HEAD_BYTES = _ARGUMENTS.size + _TOLD.size
_REFUSALS = frozenset((errno.ENOSYS, errno.E2BIG, errno.EINVAL, errno.EPERM, errno.EOPNOTSUPP))
_64_BITS = 2**64 - 1

# Its arguments: where struct clone_args is, its size, where the first call is. The child leaves the stack alone, for it is
# its parent's. What it cannot do it tells in the two words before the first call.
_MACHINE_CODE = bytes.fromhex(
    "53 4154 4889d3 4989d4"  # push rbx; push r12; mov rbx, rdx; mov r12, rdx
    "b8b3010000 0f05"  # mov eax, 435 (clone3); syscall
    "4885c0 7404"  # test rax, rax; jz child
    "415c 5b c3"  # pop r12; pop rbx; ret
    "488b03 488b7b08 488b7310 488b5318"  # child: mov rax, [rbx]; rdi, [rbx+8]; rsi, [rbx+16]; rdx, [rbx+24]
    "4c8b5320 4c8b4328 4c8b4b30 0f05"  # mov r10, [rbx+32]; r8, [rbx+40]; r9, [rbx+48]; syscall
    "483d01f0ffff 7306"  # cmp rax, -4095; jae failed
    "4883c340 ebd5"  # next: add rbx, 64; jmp child
    "488b4b38 4883f901 74f0"  # failed: mov rcx, [rbx+56]; cmp rcx, 1; je next
    "4839c1 74eb"  # cmp rcx, rax; je next
    "49894424f8 49895c24f0"  # mov [r12-8], rax; mov [r12-16], rbx
    "b8e7000000 bf7f000000 0f05"  # mov eax, 231 (exit_group); mov edi, 127; syscall
)


class Script:
    """Calls, and what they point at, which will lie at an address. `steps` says what the calls are for that follow."""

    def __init__(self, address: int) -> None:
        self._address = address
        self.data = bytearray()
        self.calls = bytearray()
        self.steps: list[tuple[int, str]] = []

    def step(self, what: str) -> None:
        """This is what the next calls are for."""
        self.steps.append((len(self.calls), what))

    def call(self, number: int, *arguments: int, unless: int = 0) -> None:
        """The next call. If it fails so does the script, unless with this error, or MAY_FAIL."""
        six = (*(each & _64_BITS for each in arguments), *(0,) * (6 - len(arguments)))
        self.calls += _CALL.pack(number, *six, unless if unless == MAY_FAIL else -unless & _64_BITS)

    def place(self, data: bytes | bytearray) -> int:
        """Where these bytes will lie."""
        address = self._address + len(self.data)
        self.data += data
        self.data += bytes(-len(self.data) % 8)
        return address

    def text(self, text: "str | os.PathLike[str]") -> int:
        """Where this text will lie. Raises: ValueError."""
        encoded = os.fsencode(text)
        _check(encoded)
        return self.place(encoded + b"\0")

    def texts(self, texts: Iterable[str]) -> int:
        """Where the addresses of these texts will lie, as execve(2) wants them. Raises: ValueError."""
        addresses, data = [], bytearray()
        start = self._address + len(self.data)
        for each in map(os.fsencode, texts):
            _check(each)
            addresses.append(start + len(data))
            data += each
            data += b"\0"
        self.place(data)
        return self.place(struct.pack(f"={len(addresses) + 1}Q", *addresses, 0))


class Playing:
    """A child that plays a script, or has played it. The owner closes the pidfd."""

    __slots__ = ("_failure", "_first", "_steps", "pid", "pidfd")

    def __init__(self, pid: int, first: int, steps: list[tuple[int, str]]) -> None:
        """`first`: where the first call lies."""
        self.pid = pid
        self._first: int | None = first
        self._steps = steps
        self._failure: str | None = None
        self.pidfd = self._told()[0]

    @property
    def is_over(self) -> bool:
        """Whether the child is its program, or has ended."""
        return self._first is None or not self._told()[1]

    @property
    def failure(self) -> str | None:
        """What kept the child, once it is over, from being its program."""
        self.settle()
        return self._failure

    def settle(self) -> None:
        """It is over, and its place is not needed any more."""
        if self._first is None:
            return
        _, _, call, error = self._told()
        if error:
            step = next((what for begin, what in reversed(self._steps) if begin <= call - self._first), "")
            self._failure = f"{step}: {os.strerror(-error)}"
        self._first = None

    def _told(self) -> tuple[int, ...]:
        return _TOLD.unpack(ctypes.string_at((self._first or 0) - _TOLD.size, _TOLD.size))


class Stage:
    """Where scripts are played. Each has its place there until its child is its program, or has ended."""

    def __init__(self) -> None:
        # PyDLL: what is called here waits for nothing.
        self._libc = ctypes.PyDLL(None, use_errno=True)
        self._libc.mmap.restype = ctypes.c_void_p
        self._area = self._map(_AREA_BYTES)
        self._kept = self._used = 0
        self._playing: list[Playing] = []
        self._play = self._enter_code() if self._area else None

    @property
    def is_there(self) -> bool:
        """Whether this machine lets us play scripts."""
        return self._play is not None

    def keep(self, write: Callable[[Script], None]) -> bytes:
        """The calls that are written here, to become a part of scripts; what they point at stays where it is.

        Nothing plays. Raises: OSError: there is no room left.
        """
        script = Script(self._area + self._kept)
        write(script)
        if self._kept + len(script.data) > _MOST_KEPT_BYTES:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        ctypes.memmove(self._area + self._kept, bytes(script.data), len(script.data))
        self._kept += len(script.data)
        self._used = self._kept
        return bytes(script.calls)

    def forget(self) -> None:
        """Nothing is kept. Nothing plays."""
        self._kept = self._used = 0

    def settle(self) -> bool:
        """Whether nothing plays any more; then there is room again."""
        if not all(each.is_over for each in self._playing):
            return False
        for each in self._playing:
            each.settle()
        self._playing.clear()
        if self._used > self._kept + _PAGE_BYTES * 16:
            start = -(-(self._area + self._kept) // _PAGE_BYTES) * _PAGE_BYTES
            length = self._area + self._used - start
            self._libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _DONTNEED)
        self._used = self._kept
        return True

    def begin(self) -> Script:
        """An empty script, the next to be played."""
        return Script(self._area + self._used)

    def play(self, script: Script, group: int | None = None) -> Playing | None:
        """A child that plays it, born in this control group, a descriptor; None: there is none, or no room for it."""
        head = len(script.data)
        length = head + _HEAD_BYTES + len(script.calls)
        if self._play is None or self._used + length > _AREA_BYTES:
            return None
        beginning = self._area + self._used + head
        pidfd, first = beginning + _ARGUMENTS.size, beginning + _HEAD_BYTES
        flags = _VM | _PIDFD | _CHILD_CLEARTID | (0 if group is None else _INTO_CGROUP)
        arguments = _ARGUMENTS.pack(flags, pidfd, pidfd + 8, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, group or 0)
        whole = b"".join((script.data, arguments, _TOLD.pack(0, 1, 0, 0), script.calls))
        ctypes.memmove(self._area + self._used, whole, length)
        pid = self._play(beginning, _ARGUMENTS.size, first)
        if pid < 0:
            self._play = None if -pid in _REFUSALS else self._play
            return None
        self._used += length
        self._playing.append(Playing(pid, first, script.steps))
        return self._playing[-1]

    def _enter_code(self) -> Callable[[int, int, int], int] | None:
        if os.uname().machine != "x86_64" or sys.maxsize <= _LARGEST_OF_32_BITS:
            return None
        page = self._map(_PAGE_BYTES)
        if not page:
            return None
        ctypes.memmove(page, _MACHINE_CODE, len(_MACHINE_CODE))
        if self._libc.mprotect(ctypes.c_void_p(page), _PAGE_BYTES, _READ | _EXECUTE) < 0:
            return None
        kind = ctypes.PYFUNCTYPE(ctypes.c_long, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_size_t)
        return kind(page)

    def _map(self, size: int) -> int:
        """New memory; 0: there is none to be had."""
        found = self._libc.mmap(None, ctypes.c_size_t(size), _READ | _WRITE, _PRIVATE_ANONYMOUS, -1, ctypes.c_long(0))
        return 0 if found in (None, ctypes.c_void_p(-1).value) else int(found)


def _check(text: bytes) -> None:
    if b"\0" in text:
        raise ValueError("embedded null byte")
