"""What a hostile build tries: each attempt a function that returns what it got, or raises OSError where it is refused."""

import ctypes
import json
import os
from collections.abc import Callable
from pathlib import Path

ATTEMPTS: dict[str, tuple[str, Callable[[], object]]] = {}
TARGETS = json.loads(Path("targets.json").read_text())
HOME, PERSON = Path(TARGETS["home"]), Path(TARGETS["person"])
PID = TARGETS["pid"]


def attempt(text: str) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """The function is one of the attempts, by its name; the text is what the documentation calls it."""

    def add(function: Callable[[], object]) -> Callable[[], object]:
        ATTEMPTS[function.__name__] = (text, function)
        return function

    return add


def call(number: int, *arguments: object) -> int:
    """A system call by its number. Raises: OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    whole = (ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    result = libc.syscall(ctypes.c_long(number), *whole)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)


def number_of(name: str) -> int:
    """A system call's number on this machine."""
    return _NUMBERS[name][os.uname().machine == "aarch64"]


def run() -> None:
    """Every attempt was made, and a line says what came of it; in the order of their names."""
    from attempts import connecting, kernel, processes, reading, staying, writing

    del connecting, kernel, processes, reading, writing  # which have added their attempts
    staying.stay()
    staying.leave_shims()
    lines = [_outcome(name, function) for name, (_, function) in sorted(ATTEMPTS.items())]
    print("\n".join(lines), flush=True)
    Path("attempts.txt").write_text("\n".join(lines) + "\n")


def _outcome(name: str, function: Callable[[], object]) -> str:
    try:
        got = function()
    except OSError as error:
        return f"{name}: refused: {error.strerror or error}"
    return f"{name}: done: {got!r:.100}"


_NUMBERS = {  # x86-64, 64-bit ARM
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clock_settime": (227, 112),
    "init_module": (175, 105),
    "io_uring_setup": (425, 425),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "open_by_handle_at": (304, 265),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "ptrace": (101, 117),
    "setns": (308, 268),
    "shmat": (30, 196),
    "unshare": (272, 97),
}
