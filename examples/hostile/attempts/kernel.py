"""Getting more power than it was given, by what the kernel offers."""

import ctypes
import errno
import fcntl
import os
import socket
import struct
import termios
import time

from attempts import PERSON, PID, TARGETS, attempt, call, number_of

_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x20000
_BIND, _REMOUNT, _READ_ONLY = 0x1000, 0x20, 1
_SESSION_KEYRING, _USER_KEYRING = -3, -4


def _in_new_namespaces(act: "ctypes._NamedFuncPointer | object") -> str:
    """What the function returns, called in a child with a user and a mount namespace of its own. Raises: OSError."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            call(number_of("unshare"), _NEW_USER | _NEW_MOUNTS)
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


@attempt("mount something over the system")
def mount_over() -> str:
    call(number_of("mount"), b"tmpfs", b"/usr/share", b"tmpfs", 0, None)
    return "/usr/share"


@attempt("make what is mounted read-only writable, in new namespaces")
def remount() -> str:
    def act() -> str:
        call(number_of("mount"), None, b"/usr", None, _REMOUNT | _BIND, None)
        with open("/usr/hostile-was-here", "w"):
            os.unlink("/usr/hostile-was-here")
        return "/usr"

    return _in_new_namespaces(act)


@attempt("leave the root with `chroot` and `..`, in new namespaces")
def leave_root() -> str:
    def act() -> str:
        os.mkdir("jail")
        os.chroot("jail")
        os.chdir("/".join([".."] * 40))
        os.chroot(".")
        return os.listdir(str(PERSON))[0]

    return _in_new_namespaces(act)


@attempt("change the root (`pivot_root`)")
def change_root() -> str:
    call(number_of("pivot_root"), b".", b".")
    return "/"


@attempt("enter the namespaces of a process outside")
def enter_namespace() -> str:
    with open(f"/proc/{PID}/ns/mnt") as space:
        call(number_of("setns"), space.fileno(), 0)
    return str(PID)


@attempt("enter the namespaces of the first process it sees")
def enter_first_namespace() -> str:
    with open("/proc/1/ns/mnt") as space:
        call(number_of("setns"), space.fileno(), 0)
    return "1"


@attempt("open a file by its inode (`open_by_handle_at`)")
def open_by_handle() -> int:
    handle = struct.pack("Ii8s", 8, 1, struct.pack("II", 2, 0))
    here = os.open(".", os.O_RDONLY)
    try:
        return call(number_of("open_by_handle_at"), here, handle, os.O_RDONLY)
    finally:
        os.close(here)


@attempt("read the session's keyring")
def read_session_keys() -> int:
    return call(number_of("keyctl"), 0, _SESSION_KEYRING, 0)


@attempt("leave a key in the user's keyring")
def leave_key() -> int:
    return call(number_of("add_key"), b"user", b"hostile", b"owned", 5, _USER_KEYRING)


@attempt("go round filters by io_uring")
def use_io_uring() -> int:
    return call(number_of("io_uring_setup"), 1, ctypes.create_string_buffer(120))


@attempt("load a program into the kernel (bpf)")
def use_bpf() -> int:
    return call(number_of("bpf"), 0, ctypes.create_string_buffer(b"\2\0\0\0\4\0\0\0\4\0\0\0\1\0\0\0", 72), 72)


@attempt("watch the machine (`perf_event_open`)")
def use_perf() -> int:
    attributes = struct.pack("IIQ", 1, 64, 0) + bytes(48)
    return call(number_of("perf_event_open"), attributes, -1, 0, -1, 0)


@attempt("load a kernel module")
def load_module() -> str:
    try:
        call(number_of("init_module"), b"", 0, b"")
    except OSError as error:
        if error.errno == errno.ENOEXEC:
            return "only the module was wrong"
        raise
    return "loaded"


@attempt("set the host's name")
def set_host_name() -> str:
    socket.sethostname(socket.gethostname())
    return socket.gethostname()


@attempt("set the clock")
def set_clock() -> str:
    time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME))
    return "set"


@attempt("type into the caller's terminal (TIOCSTI)")
def type_into_terminal() -> str:
    descriptor = os.open("/dev/tty", os.O_RDWR)
    fcntl.ioctl(descriptor, termios.TIOCSTI, b"#")
    return "typed"


@attempt("make a terminal its own, to type into it")
def take_terminal() -> str:
    descriptor = os.open(TARGETS["terminal"], os.O_RDONLY)
    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 1)
    return "taken"


@attempt("be root again by a setuid program")
def gain_rights() -> str:
    with open("/proc/self/status") as status:
        if "NoNewPrivs:\t1" in status.read():
            raise OSError(errno.EPERM, "no_new_privs is set")
    return "it would be"
