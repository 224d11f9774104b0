"""Namespaces: a command in a machine of its own, in which only its view exists. namespaces(7), pivot_root(2).

Its files are a tree in memory with the view mounted into it, everything but the writable folders read-only; its processes
are all that there are, and all gone with the first; its network is a loopback device. Needs CAP_SYS_ADMIN, or a user
namespace where the machine lets a person have one. To be called in a new child, which has no threads.
"""

import ctypes
import fcntl
import os
import resource
import signal
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from trivet.host.view import DEVICES, View, system_paths
from trivet.model.frozen import frozen

_NEW_MOUNTS, _NEW_NAME, _NEW_IPC, _NEW_USER, _NEW_PROCESSES, _NEW_NETWORK = (
    0x20000,
    0x4000000,
    0x8000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
_NOSUID, _NODEV, _NOEXEC, _BIND, _REC, _PRIVATE = 2, 4, 8, 0x1000, 0x4000, 0x40000
_DETACH = 2
_MOUNT_SETATTR = 442  # the same on every architecture
_AT_RECURSIVE, _AT_FDCWD = 0x8000, -100
_READ_ONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1  # ioctls of netdevice(7)
_HIGHEST_DESCRIPTOR = 65536
_MEMORY_BYTES = 1 << 28


class _MountAttributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_namespace"))


@frozen
class Namespaces:
    """How a command enters namespaces of its own: `with_user`, a user namespace among them, or as root without one.

    `on_start` is called in each process that is made on the way, so that all of them end with their parent.
    """

    with_user: bool
    on_start: Callable[[], None]

    def enter(self, view: View, directory: Path) -> None:
        """This process goes on in the view, in the directory; those it leaves behind hand on how it ends.

        Raises: OSError, if the machine refuses.
        """
        libc = ctypes.CDLL(None, use_errno=True)
        user, group = os.geteuid(), os.getegid()
        flags = _NEW_MOUNTS | _NEW_NAME | _NEW_IPC | _NEW_PROCESSES
        flags |= 0 if view.network else _NEW_NETWORK
        _checked(libc.unshare(flags | (_NEW_USER if self.with_user else 0)), "have namespaces of its own")
        if self.with_user:
            _map_user(user, group)
        self.on_start()
        told, tell = os.pipe()
        if first := os.fork():
            _hand_on(first, told)
        self.on_start()
        _settle(_Mounting(libc), view)
        if second := os.fork():
            _reap(second, tell)
        os.chdir(directory)


def _map_user(user: int, group: int) -> None:
    """The user and the group are the same inside as outside."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _settle(mounting: "_Mounting", view: View) -> None:
    root = view.root
    mounting.make_root(root)
    for name in ("tmp", "var/tmp"):  # before what may lie below them
        mounting.bind(view.temporary, root / name)
    for path in (*system_paths(), *view.readable):
        mounting.show(path, root / str(path).lstrip("/"))
    for path in view.writable:
        mounting.bind(path, root / str(path).lstrip("/"))
    mounting.make_devices(root)
    mounting.make_proc(root)
    mounting.move_to(root)
    socket.sethostname("build")
    if not view.network:
        _start_loopback()


class _Mounting:
    """mount(2) and its kin, by the names of what they are for here."""

    def __init__(self, libc: ctypes.CDLL) -> None:
        self._libc = libc
        self._shown: set[Path] = set()

    def make_root(self, root: Path) -> None:
        """An empty tree in memory stands on the folder, and nothing mounted here is seen outside."""
        self._mount(None, Path("/"), None, _REC | _PRIVATE)
        self._mount("tmpfs", root, "tmpfs", _NOSUID | _NODEV, f"mode=755,size={_MEMORY_BYTES}")

    def show(self, path: Path, where: Path) -> None:
        """The path can be read in the new tree, or could be already; a link such as /bin -> usr/bin is a link there too."""
        if not self._shown.isdisjoint((path, *path.parents)):
            return
        if path.is_symlink() and path.parent == Path("/") and not path.readlink().is_absolute():
            where.symlink_to(path.readlink())
            return
        self.bind(path, where)
        self._shown.add(path)
        attributes = _MountAttributes(_READ_ONLY | _ATTR_NOSUID | _ATTR_NODEV, 0, 0, 0)
        arguments = (_AT_FDCWD, os.fsencode(where), _AT_RECURSIVE, ctypes.byref(attributes), ctypes.sizeof(attributes))
        _checked(self._libc.syscall(_MOUNT_SETATTR, *arguments), f"make {path} read-only")

    def bind(self, path: Path, where: Path) -> None:
        """The path stands in the new tree too, with what is mounted below it."""
        where.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            where.mkdir(exist_ok=True)
        else:
            where.touch()
        self._mount(os.path.realpath(path), where, None, _BIND | _REC)

    def make_devices(self, root: Path) -> None:
        """The devices that any program needs, and memory to share."""
        for name in DEVICES:
            if Path("/dev", name).exists():
                self.bind(Path("/dev", name), root / "dev" / name)
        for name, target in (
            ("fd", "self/fd"),
            ("stdin", "self/fd/0"),
            ("stdout", "self/fd/1"),
            ("stderr", "self/fd/2"),
        ):
            (root / "dev" / name).symlink_to(f"/proc/{target}")
        shared = root / "dev" / "shm"
        shared.mkdir()
        self._mount("tmpfs", shared, "tmpfs", _NOSUID | _NODEV, f"mode=1777,size={_MEMORY_BYTES}")

    def make_proc(self, root: Path) -> None:
        """The processes of this namespace can be seen, and no others."""
        (root / "proc").mkdir()
        self._mount("proc", root / "proc", "proc", _NOSUID | _NODEV | _NOEXEC)

    def move_to(self, root: Path) -> None:
        """The new tree is all there is."""
        os.chdir(root)
        _checked(self._libc.pivot_root(b".", b"."), "change the root")
        _checked(self._libc.umount2(b".", _DETACH), "leave the old root")
        os.chdir("/")

    def _mount(self, source: str | None, target: Path, kind: str | None, flags: int, options: str = "") -> None:
        arguments = (
            source and os.fsencode(source),
            os.fsencode(target),
            kind and kind.encode(),
            flags,
            options.encode(),
        )
        _checked(self._libc.mount(*arguments), f"mount {target}")


def _start_loopback() -> None:
    """127.0.0.1 answers in the new network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(any_socket, _GET_FLAGS, request))[1]
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sH14s", b"lo", flags | _UP, b""))


def _hand_on(first: int, told: int) -> NoReturn:
    """Ends as the command ended, once the first process of the namespace has: then all others are gone too."""
    _close_all_but(told)
    ended = os.waitpid(first, 0)[1]
    text = os.read(told, 16)
    status = int(text) if text else ended
    if os.WIFSIGNALED(status):
        _end_by(os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


def _end_by(number: int) -> NoReturn:
    """Ends by the signal, leaving no second core behind."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)


def _reap(second: int, tell: int) -> NoReturn:
    """The first process: buries what is left to it, and ends with the command, which ends all others."""
    _close_all_but(tell)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        pid, status = os.wait()
        if pid == second:
            os.write(tell, str(status).encode())
            os._exit(0)


def _close_all_but(kept: int) -> None:
    """No pipe is held open that somebody waits on: the one through which subprocess learns of the start, above all."""
    os.closerange(3, kept)
    os.closerange(kept + 1, _HIGHEST_DESCRIPTOR)


def _checked(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
