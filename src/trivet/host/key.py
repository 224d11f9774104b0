"""The key to a control socket: a named pipe, opened for writing. Who is sealed cannot have it. Standard library only.

A sealed process has our user and can connect to our sockets. What neither it nor its children can do, ever, is open a
file outside their walls for writing (sandbox.py). So whoever commands us passes the open key along with the first byte,
and the kernel has vouched for it; a process id could belong to somebody else by now, and `no_new_privs` to everybody.

A named pipe takes no room: it can be opened on a full disk, and on one that became read-only.
"""

import fcntl
import os
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from trivet.host.sockets import peer_pid, peer_uid

_QUIET_S = 1.0


def make_key(folder: Path) -> None:
    """The folder has a key, for our user alone. Raises: OSError."""
    path = _path(folder)
    try:
        os.mkfifo(path, 0o600)
    except FileExistsError:
        path.chmod(0o600)  # an app cannot open it, but take away its mode


def take_key(folder: Path) -> int:
    """A descriptor to pass along, which the caller closes. Raises: PermissionError (we are sealed), OSError."""
    return os.open(_path(folder), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


class Guard:
    """Tells who may command us; `report` is told of who may not, at most once a second."""

    def __init__(self, folder: Path, report: Callable[[str], None]) -> None:
        self._folder = folder
        self._report = report
        self._reported_at = -_QUIET_S

    def admits(self, connection: socket.socket, descriptors: Sequence[int]) -> bool:
        """Whether our user or root connected, and the first of the descriptors is the key. They stay open."""
        if peer_uid(connection) in (0, os.geteuid()) and descriptors and self._fits(descriptors[0]):
            return True
        now = time.monotonic()
        if now - self._reported_at >= _QUIET_S:
            self._reported_at = now
            self._report(f"process {peer_pid(connection)} may not command us: it is sealed, or has no key")
        return False

    def _fits(self, descriptor: int) -> bool:
        # Exactly this mode: O_RDONLY, O_PATH and 3 (for ioctl alone) are granted to the sealed as well.
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDWR:
            return False
        try:
            return os.path.samestat(os.fstat(descriptor), _path(self._folder).stat())
        except OSError:
            return False


def _path(folder: Path) -> Path:
    return folder / "key"
