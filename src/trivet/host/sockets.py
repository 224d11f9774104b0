"""Unix sockets that speak in lines and pass file descriptors, at paths of any length. Standard library only.

A socket's address holds at most 107 bytes (unix(7)); a home may lie deeper. So both ends name it as
`/proc/self/fd/N/NAME`, where N is the open folder.
"""

import os
import socket
import stat
import struct
import time
from collections.abc import Sequence
from pathlib import Path

_READ_BYTES = 65536
_POLL_S = 0.005
_MOST_FDS = 253  # SCM_MAX_FD in the kernel
_DESCRIPTOR = struct.Struct("i")
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


def listen_unix(path: Path, *, backlog: int = 64) -> socket.socket:
    """A listening socket that does not block, at this path, mode 0600; what lay there before is gone.

    The folder exists. Whoever calls holds the lock that makes it the only one to listen here.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.fchmod(listener.fileno(), 0o600)  # taken over by bind: at no moment is the path open to others
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
    listener.listen(backlog)
    listener.settimeout(0)
    return listener


def connect_unix(path: Path, timeout_s: float) -> socket.socket:
    """A connection to whoever listens at this path; what it sends and receives waits at most this long.

    Raises: OSError (FileNotFoundError, ConnectionRefusedError: nobody listens there).
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout_s)
    try:
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _connect(connection, f"/proc/self/fd/{folder}/{path.name}", time.monotonic() + timeout_s)
        finally:
            os.close(folder)
    except OSError:
        connection.close()
        raise
    return connection


def reach_unix(path: Path) -> socket.socket:
    """A connection to who listens at this very path; it does not block.

    The folder is somebody else's, perhaps: a link there, or a socket of a third user's, leads nowhere, because we may reach
    what its owner may not. Raises: OSError (BlockingIOError: its queue is full).
    """
    place = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _check_own(os.fstat(place), path)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(0)
        try:
            connection.connect(f"/proc/self/fd/{place}")
        except OSError:
            connection.close()
            raise
        return connection
    finally:
        os.close(place)


def is_unix_socket(path: Path) -> bool:
    """Whether `reach_unix` finds a socket there, whoever listens."""
    try:
        _check_own(path.lstat(), path)
    except OSError:
        return False
    return True


def _check_own(found: os.stat_result, path: Path) -> None:
    owner = path.parent.stat().st_uid
    if not stat.S_ISSOCK(found.st_mode) or (owner != os.geteuid() and found.st_uid != owner):
        raise ConnectionRefusedError(f"{path} is no socket of the folder's owner")


def _connect(connection: socket.socket, address: str, deadline: float) -> None:
    while True:
        try:
            connection.connect(address)
        except BlockingIOError:  # its queue is full; a socket with a timeout is not put to wait by the kernel
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)
        else:
            return


def peer_uid(connection: socket.socket) -> int:
    """The user who connected, as the kernel knows it (SO_PEERCRED)."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(credentials)[1])


def peer_pid(connection: socket.socket) -> int:
    """The process that connected, as the kernel knows it (SO_PEERCRED)."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(credentials)[0])


def send_line(connection: socket.socket, line: bytes, fds: Sequence[int] = ()) -> None:
    """The line and its newline are sent whole; the descriptors travel with its first byte. Raises: OSError."""
    data = line + b"\n"
    sent = socket.send_fds(connection, [data], list(fds)) if fds else 0
    if sent < len(data):
        connection.sendall(data[sent:])


def receive(connection: socket.socket) -> tuple[bytes, tuple[int, ...]]:
    """What has arrived, and the descriptors that came along, closed on exec; b"" at the end.

    The receiver owns the descriptors. Raises: OSError (BlockingIOError: nothing yet; TimeoutError).
    """
    # not socket.recv_fds: in Python 3.11 it drops the flags
    space = socket.CMSG_LEN(_MOST_FDS * _DESCRIPTOR.size)
    data, ancillary, _, _ = connection.recvmsg(_READ_BYTES, space, socket.MSG_CMSG_CLOEXEC)
    fds = [
        fd
        for level, kind, content in ancillary
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
        for (fd,) in _DESCRIPTOR.iter_unpack(content[: len(content) - len(content) % _DESCRIPTOR.size])
    ]
    return data, tuple(fds)
