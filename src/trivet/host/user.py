"""Users of apps: where Trivet is root, each app is somebody of its own, by number alone unless the machine knows the name.

Numbers, https://systemd.io/UIDS-GIDS: nobody else gives these to anybody. The second range is for containers that have
65536 users in all.
"""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from trivet.model.frozen import frozen

T = TypeVar("T")
RANGES = (range(70_000, 80_000), range(60_706, 61_184))
_OPEN = stat.S_IXOTH
_FIELDS = 7


@frozen
class User:
    """Whom an app's processes run as, and in which group alone.

    `passes`: it has the power to go through folders that are closed to others, and to read what lies there, for walls are
    around it that say what it may read.
    """

    number: int
    group: int
    name: str
    passes: bool = False

    def may_write(self, descriptor: int) -> None:
        """It can open this file of ours for writing, by a descriptor that it has been given. Raises: OSError."""
        os.fchown(descriptor, -1, self.group)
        os.fchmod(descriptor, 0o620)


def find_by_name(name: str) -> User | None:
    """The machine's user of this name, unless that is root; None if there is none."""
    found = (User(int(fields[2]), int(fields[3]), name) for fields in _accounts() if fields[0] == name)
    return next((user for user in found if user.number and user.group), None)


def is_known(number: int) -> bool:
    """Whether the machine has somebody of this number."""
    return any(fields[2] == str(number) for fields in _accounts())


def home_of(number: int) -> Path | None:
    """Where the machine's user of this number is at home."""
    return next((Path(fields[5]) for fields in _accounts() if fields[2] == str(number) and fields[5]), None)


def _accounts() -> Iterator[list[str]]:
    """Those of this very machine, passwd(5): asking for others may take seconds, and the libraries that do take memory."""
    with contextlib.suppress(OSError), open("/etc/passwd", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
        for line in file:
            fields = line.rstrip("\n").split(":")
            if len(fields) == _FIELDS and fields[2].isdecimal() and fields[3].isdecimal():
                yield fields


def usable() -> range:
    """The numbers that this machine has for apps: all of the first range, or in a small container the second."""
    known = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    for numbers in RANGES:
        if any(first <= numbers.start and numbers.stop <= first + count for first, _, count in known):
            return numbers
    return range(0)


def closed_folder(path: Path) -> Path | None:
    """The nearest folder above the path, links followed, that others may not go through; None: everybody may."""
    above = (folder for folder in path.resolve().parents if folder.exists())
    return next((folder for folder in above if not folder.stat().st_mode & _OPEN), None)


def look_as_owner(pid: int, read: Callable[[], T]) -> T:
    """What is read of a process that is somebody else's. Raises: OSError.

    It takes CAP_SYS_PTRACE, which containers often keep from their root: then we are the process's user while we read.
    """
    try:
        return read()
    except PermissionError:
        if os.geteuid() != 0:
            raise
    found = Path(f"/proc/{pid}").stat()
    try:
        os.setegid(found.st_gid)
        os.seteuid(found.st_uid)
        return read()
    finally:
        os.seteuid(0)
        os.setegid(0)


def let_pass(folder: Path) -> None:
    """Others may go through the folder, and not see what is in it unless they might before. Raises: OSError."""
    _open_up(folder, _OPEN)


def let_read(folder: Path) -> None:
    """Others may see what is in the folder, if it is there. Raises: OSError."""
    with contextlib.suppress(FileNotFoundError):
        _open_up(folder, _OPEN | stat.S_IROTH)


def _open_up(folder: Path, bits: int) -> None:
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & bits != bits:
        folder.chmod(mode | bits)


def give(path: Path, owner: User) -> None:
    """The file or tree is the user's, whatever it was; no link is followed. The top comes last: it tells that all is done.

    Raises: OSError.
    """
    if path.lstat().st_uid == owner.number:
        return
    if path.is_dir() and not path.is_symlink():
        for _, folders, files, descriptor in os.fwalk(path, follow_symlinks=False):
            for name in (*folders, *files):
                os.chown(name, owner.number, owner.group, dir_fd=descriptor, follow_symlinks=False)
    os.chown(path, owner.number, owner.group, follow_symlinks=False)
