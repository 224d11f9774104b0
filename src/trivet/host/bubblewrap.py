"""Bubblewrap: the program that shows a command its view where this process may not do that itself. bwrap(1)

Some machines let no person make a user namespace but this program, by a profile or a setuid bit of its own.
"""

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from trivet.host.view import View, system_paths

PROGRAM = "bwrap"
# Which root could write otherwise, though it is root in there alone.
_SETTINGS = tuple(Path("/proc", name) for name in ("sys", "sysrq-trigger", "irq", "bus", "fs", "mtrr", "scsi", "acpi"))


def is_privileged() -> bool:
    """Whether the program is root's for anybody, as it is installed where people may have no user namespaces."""
    path = shutil.which(PROGRAM)
    return path is not None and bool(Path(path).stat().st_mode & stat.S_ISUID)


def wrap(argv: tuple[str, ...], view: View, directory: Path) -> tuple[str, ...]:
    """The command that runs this one in the view, in namespaces of its own."""
    network = () if view.network else ("--unshare-net",)
    own = ("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", "build", *network)
    own = (*own, "--cap-drop", "ALL")  # which root would keep otherwise, and make writable again what is read-only
    return (PROGRAM, *own, "--die-with-parent", *_mounts(view), "--chdir", str(directory), "--", *argv)


def _mounts(view: View) -> Iterator[str]:
    for name in ("/tmp", "/var/tmp"):
        yield from ("--bind", str(view.temporary), name)
    for path in system_paths():
        if path.is_symlink() and path.parent == Path("/"):
            yield from ("--symlink", str(path.readlink()), str(path))
        else:
            yield from ("--ro-bind", str(path), str(path))
    for path in view.readable:
        yield from ("--ro-bind", str(path), str(path))
    for path in view.writable:
        yield from ("--bind", str(path), str(path))
    yield from ("--dev", "/dev", "--proc", "/proc")
    for path in filter(Path.exists, _SETTINGS):
        yield from ("--ro-bind", str(path), str(path))
