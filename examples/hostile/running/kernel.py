"""Getting more power than it was given."""

import errno
import os
import socket
import struct
import time

from running import HOME, OTHER, attempt, call

_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x20000
_BIND = 0x1000
_SESSION_KEYRING, _USER_KEYRING, _SEARCH = -3, -4, 10


def _in_new_namespaces(act: "object") -> str:
    """What the function returns, called in a child that is root in namespaces of its own. Raises: OSError."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            call("unshare", _NEW_USER | _NEW_MOUNTS)
            text = f"0 {act()}"  # type: ignore[operator]
        except OSError as error:
            text = f"{error.errno or errno.EPERM} {error.strerror}"
        os.write(tell, text.encode())
        os._exit(0)
    os.close(tell)
    with os.fdopen(told) as answer:
        number, _, text = answer.read().partition(" ")
    os.waitpid(child, 0)
    if number != "0":
        raise OSError(int(number), text)
    return text


@attempt("become root, or another app's user")
def become_another() -> str:
    refusal = OSError(0, "")
    for user in (0, os.getuid() + 1, 60000):
        try:
            os.setresuid(user, user, user)
            return str(user)
        except OSError as error:
            refusal = error
    raise refusal


@attempt("join a group of the machine (`docker`, `disk`)")
def join_group() -> str:
    os.setgroups([0, 6])
    return str(os.getgroups())


@attempt("be root again by a setuid program")
def gain_rights() -> str:
    with open("/proc/self/status") as status:
        if "NoNewPrivs:\t1" in status.read():
            raise OSError(errno.EPERM, "no_new_privs is set")
    return "it would be"


@attempt("mount something over the system")
def mount_over() -> str:
    call("mount", b"tmpfs", b"/usr/share", b"tmpfs", 0, None)
    return "/usr/share"


@attempt("mount another app's files into its own, in new namespaces")
def mount_in_namespace() -> str:
    def act() -> str:
        call("mount", os.fsencode(OTHER / "storage"), os.fsencode(os.environ["TMPDIR"]), None, _BIND, None)
        return os.listdir(os.environ["TMPDIR"])[0]

    return _in_new_namespaces(act)


@attempt("read the keys as root of new namespaces")
def read_in_namespace() -> str:
    return _in_new_namespaces(lambda: (HOME / "keys/config.key").read_text())


@attempt("leave the root with `chroot` and `..`, in new namespaces")
def leave_root() -> str:
    def act() -> str:
        os.chdir(os.environ["TMPDIR"])
        os.makedirs("jail", exist_ok=True)
        os.chroot("jail")
        os.chdir("/".join([".."] * 40))
        os.chroot(".")
        return (HOME / "keys/config.key").read_text()

    return _in_new_namespaces(act)


@attempt("change the root (`pivot_root`)")
def change_root() -> str:
    call("pivot_root", b".", b".")
    return "/"


@attempt("open a file by its inode (`open_by_handle_at`)")
def open_by_handle() -> int:
    handle = struct.pack("Ii8s", 8, 1, struct.pack("II", 2, 0))
    here = os.open(".", os.O_RDONLY)
    try:
        return call("open_by_handle_at", here, handle, os.O_RDONLY)
    finally:
        os.close(here)


@attempt("find a key in the session's keyring of whoever started Trivet")
def find_session_key() -> int:
    return call("keyctl", _SEARCH, _SESSION_KEYRING, b"user", b"hostile-session", 0)


@attempt("find a key in the keyring of Trivet's user")
def find_user_key() -> int:
    return call("keyctl", _SEARCH, _USER_KEYRING, b"user", b"hostile-user", 0)


@attempt("load a kernel module")
def load_module() -> str:
    try:
        call("init_module", b"", 0, b"")
    except OSError as error:
        if error.errno == errno.ENOEXEC:
            return "only the module was wrong"
        raise
    return "loaded"


@attempt("set the host's name, or the clock")
def set_host() -> str:
    try:
        socket.sethostname(socket.gethostname())
    except OSError:
        time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME))
    return socket.gethostname()


@attempt("come before all others (`nice`, real time)")
def come_first() -> str:
    try:
        os.nice(-5)
    except OSError:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return "first"
