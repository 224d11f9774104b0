"""What a hostile app tries while it runs: each attempt a function that returns what it got, or raises OSError where refused."""

import ctypes
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

ATTEMPTS: dict[str, tuple[str, Callable[[], object]]] = {}
TARGETS = json.loads(Path(sys.argv[1]).read_text())
HOME, PERSON, NAME = Path(TARGETS["home"]), Path(TARGETS["person"]), TARGETS["name"]
OTHER, OWN = HOME / "apps/blog/deploys/production", HOME / "apps/shop/deploys/production"
# What it may have nothing to do with; its sibling is another process of the same app.
PIDS = {name: TARGETS["pids"][name] for name in ("other", "supervisor", "door", "person", "sibling")}


def attempt(text: str) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """The function is one of the attempts, by its name; the text is what the documentation calls it."""

    def add(function: Callable[[], object]) -> Callable[[], object]:
        ATTEMPTS[function.__name__] = (text, function)
        return function

    return add


def on_any(act: Callable[[int], object], *names: str) -> str:
    """Of which of these processes (none: all) the act succeeded. Raises: OSError, the last refusal, if of none."""
    done: list[str] = []
    refusal = OSError(0, "there is none")
    for name in names or PIDS:
        try:
            act(PIDS[name])
            done.append(name)
        except OSError as error:
            refusal = error
    if not done:
        raise refusal
    return " ".join(done)


def call(name: str, *arguments: object) -> int:
    """A system call. Raises: OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    whole = (ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    number = _NUMBERS[name][os.uname().machine == "aarch64"]
    result = libc.syscall(ctypes.c_long(number), *whole)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)


def run() -> None:
    """Every attempt was made, and a line says what came of it; in the order of their names."""
    from running import connecting, kernel, processes, reading, writing

    del connecting, kernel, processes, reading, writing  # which have added their attempts
    for name, (_, function) in sorted(ATTEMPTS.items()):
        try:
            outcome = f"done: {function()!r:.100}"
        except OSError as error:
            outcome = f"refused: {error.strerror or error}"
        print(f"{name}: {outcome}", flush=True)
    print("finished", flush=True)


_NUMBERS = {  # x86-64, 64-bit ARM
    "init_module": (175, 105),
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
