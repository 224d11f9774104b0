"""Points: every call by which a Trivet process changes the world, counted; and at one of them something goes wrong.

The other half is points.c, loaded into the real processes from outside: nothing in Trivet knows of it. Python's own calls
and SQLite's go through the C library, and so through it (test_points.py compares with what strace sees).
"""

import mmap
import shutil
import struct
import subprocess
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

SOURCE = Path(__file__).with_name("points.c")
_FIELDS = ("role", "action", "signal", "dead", "failing", "reached", "asked", "granted")
_HEAD = struct.Struct("8i")
_TARGET = struct.Struct("q")
_COUNTS = struct.Struct("4q")
_COUNTS_AT = _HEAD.size + _TARGET.size
_MAIN_PIDS = struct.Struct("4i")
_MAIN_PIDS_AT = _COUNTS_AT + _COUNTS.size
_KEEPS = struct.Struct("2i")
_KEEPS_AT = _MAIN_PIDS_AT + _MAIN_PIDS.size
_SIZE = 4096


class Role(IntEnum):
    """Whose points are counted."""

    NOBODY = 0
    COMMAND = 1
    SUPERVISOR = 2
    DOOR = 3


class Action(IntEnum):
    """What happens at the point: nothing; the process is killed; all are, at once; the disk is full from here on, until
    `clear`; this one sync fails; the process has a signal."""

    COUNT = 0
    KILL = 1
    CUT = 2
    FULL = 3
    FAIL_SYNC = 4
    SIGNAL = 5


@dataclass(frozen=True, slots=True)
class Point:
    """One call: its number, whose it was, and what it was about to do to what (a path below the home)."""

    number: int
    role: str
    pid: int
    call: str
    what: str


def can_compile() -> bool:
    """Whether this machine has a C compiler."""
    return shutil.which("cc") is not None


def compile_library(folder: Path) -> Path:
    """The library that LD_PRELOAD names."""
    library = folder / "points.so"
    subprocess.run(("cc", "-O1", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"), check=True)
    return library


class Points:
    """What the processes of one home share with whoever arms them."""

    def __init__(self, library: Path, home: Path, folder: Path) -> None:
        self.trace = folder / "points.trace"
        self.journal = folder / "points.trace.journal"
        self.kept = folder / "points.trace.kept"
        path = folder / "points.shared"
        path.write_bytes(bytes(_SIZE))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _SIZE)
        self.environment = {
            "LD_PRELOAD": str(library),
            "POINTS_SHARED": str(path),
            "POINTS_HOME": str(home),
            "POINTS_TRACE": str(self.trace),
        }

    def arm(self, role: Role, action: Action = Action.COUNT, target: int = 0, signal: int = 0) -> None:
        """From now on the points of this role are counted anew, and at the target's number it happens."""
        self.trace.unlink(missing_ok=True)
        self.journal.unlink(missing_ok=True)
        shutil.rmtree(self.kept, ignore_errors=True)
        self.kept.mkdir()
        _KEEPS.pack_into(self._shared, _KEEPS_AT, int(action is Action.CUT), 0)
        _COUNTS.pack_into(self._shared, _COUNTS_AT, 0, 0, 0, 0)
        _TARGET.pack_into(self._shared, _HEAD.size, target)
        _HEAD.pack_into(self._shared, 0, role, action, signal, 0, 0, 0, 0, 0)

    def clear(self) -> None:
        """Nothing is counted and nothing fails any more; whoever is dead stays so."""
        for name in ("role", "failing"):
            self._set(name, 0)

    @property
    def is_reached(self) -> bool:
        """Whether the target's point has come."""
        return bool(self._get("reached"))

    @property
    def is_dead(self) -> bool:
        """Whether all processes stand still, to be killed."""
        return bool(self._get("dead"))

    @property
    def asked(self) -> tuple[int, int] | None:
        """The process and the signal that it is to be sent, since a child of it cannot. `grant` once it is."""
        if self._get("granted") or not self._get("asked"):
            return None
        return int(_MAIN_PIDS.unpack_from(self._shared, _MAIN_PIDS_AT)[self._get("role")]), self._get("asked")

    def grant(self) -> None:
        """The signal was sent."""
        self._set("granted", 1)

    def count(self, role: Role) -> int:
        """How many points of this role have come since it was armed."""
        return int(_COUNTS.unpack_from(self._shared, _COUNTS_AT)[role])

    def passed(self) -> tuple[Point, ...]:
        """All that were counted, in their order."""
        if not self.trace.exists():
            return ()
        lines = (line.split(" ", 4) for line in self.trace.read_text(errors="replace").splitlines())
        found = [Point(int(number), role, int(pid), call, what) for number, role, pid, call, what in lines]
        return tuple(sorted(found, key=lambda point: point.number))

    def close(self) -> None:
        self._shared.close()

    def _get(self, name: str) -> int:
        return int(_HEAD.unpack_from(self._shared, 0)[_FIELDS.index(name)])

    def _set(self, name: str, value: int) -> None:
        struct.pack_into("i", self._shared, _FIELDS.index(name) * 4, value)
