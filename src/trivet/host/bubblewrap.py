"""Bubblewrap: the program that shows a command its view where this process may not do that itself. bwrap(1)

Some machines let no person make a user namespace but this program, by a profile or a setuid bit of its own.
"""

from collections.abc import Iterator
from pathlib import Path

from trivet.host.view import View, system_paths

PROGRAM = "bwrap"


def wrap(argv: tuple[str, ...], view: View, directory: Path) -> tuple[str, ...]:
    """The command that runs this one in the view, in namespaces of its own."""
    network = () if view.network else ("--unshare-net",)
    own = ("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", "build", *network)
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
