"""What a disk holds after a power cut: everything that was not synced is gone.

points.c has written down every call on the home's files. Of a name that was made, replaced or removed nothing is left
unless its folder was synced afterwards; of a file, what it held when it was synced last, or before. SQLite's files are
left as they are: that it syncs what it needs is its own promise.
"""

import contextlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_NAMES = ("name", "folder", "rename", "unlink")


@dataclass(frozen=True, slots=True)
class Call:
    """`number` is a file's inode, or the number under which what a name named was kept. `size_bytes`: before the call."""

    what: str
    number: int
    size_bytes: int
    path: str
    other: str


def read_journal(path: Path) -> tuple[Call, ...]:
    """The calls in their order."""
    if not path.exists():
        return ()
    rows = (line.split("\t") for line in path.read_text(errors="surrogateescape").splitlines())
    return tuple(Call(row[0], int(row[1]), int(row[2]), row[3], row[4]) for row in rows)


def lose(calls: Sequence[Call], home: Path, kept: Path) -> int:
    """The home is as its disk may have it after a power cut; how many calls are lost."""
    lost = _lose_contents(calls, home)
    for call in _lost_names(calls):
        lost += 1
        _take_back(call, kept / str(call.number))
    return lost


def _lost_names(calls: Sequence[Call]) -> tuple[Call, ...]:
    """The last first, as they are to be taken back."""
    synced: set[str] = set()
    lost = []
    for call in reversed(calls):
        if call.what == "syncfs":
            break
        if call.what == "sync":
            synced.add(call.path)
        elif call.what in _NAMES and os.path.dirname(call.path) not in synced and not _is_of_database(call.path):  # noqa: PTH120
            lost.append(call)
    return tuple(lost)


def _take_back(call: Call, before: Path) -> None:
    path = Path(call.path)
    if call.what == "folder":
        shutil.rmtree(path, ignore_errors=True)
    elif call.what == "name":
        path.unlink(missing_ok=True)
    elif call.what == "rename" and (path.exists() or path.is_symlink()):
        Path(call.other).parent.mkdir(parents=True, exist_ok=True)
        path.rename(call.other)
    if before.exists() or before.is_symlink():
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.link(before, path, follow_symlinks=False)


def _lose_contents(calls: Sequence[Call], home: Path) -> int:
    sizes: dict[int, int] = {}
    for call in calls:
        if call.what == "syncfs":
            sizes.clear()
        elif call.what == "sync":
            sizes.pop(call.number, None)
        elif call.what == "write" and not _is_of_database(call.path):
            sizes.setdefault(call.number, call.size_bytes)
    lost = 0
    for path in home.rglob("*"):
        if path.is_file() and not path.is_symlink() and (found := path.stat()).st_ino in sizes:
            lost += 1
            if found.st_size > sizes[found.st_ino]:
                os.truncate(path, sizes[found.st_ino])
    return lost


def _is_of_database(path: str) -> bool:
    return os.path.basename(path).startswith("trivet.db")  # noqa: PTH119
