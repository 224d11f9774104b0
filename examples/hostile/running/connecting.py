"""Connecting to what is not meant for it."""

import os
import socket

from running import HOME, NAME, TARGETS, attempt

_DEADLINE_S = 5.0


def _connect(family: int, address: object) -> str:
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.settimeout(_DEADLINE_S)
        one.connect(address)  # type: ignore[arg-type]
        return str(address)


def _command(name: str, request: bytes, *, with_key: bool) -> str:
    """What is answered on one of Trivet's sockets; its path is too long for some, so it is gone to."""
    before = os.open(".", os.O_RDONLY)
    own = os.path.join(os.environ["TMPDIR"], "key")
    if not os.path.exists(own):
        os.mkfifo(own)
    try:
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(_DEADLINE_S)
            os.chdir(HOME / "run")
            control.connect(name)
            key = os.open("key" if with_key else own, os.O_RDWR | os.O_NONBLOCK)
            socket.send_fds(control, [request], [key])
            os.close(key)
            if answer := control.recv(4096):
                return answer.decode()
    finally:
        os.fchdir(before)
        os.close(before)
    raise ConnectionResetError(104, "it hung up")


@attempt("command the supervisor (`control.sock`) with its key")
def command_supervisor() -> str:
    return _command("control.sock", b'{"do": "hello"}\n', with_key=True)


@attempt("command the supervisor with a key of its own")
def command_supervisor_without_key() -> str:
    return _command("control.sock", b'{"do": "hello"}\n', with_key=False)


@attempt("command the front door (`door.sock`) with its key")
def command_door() -> str:
    return _command("door.sock", b'{"do": "status"}\n', with_key=True)


@attempt("command the front door with a key of its own")
def command_door_without_key() -> str:
    return _command("door.sock", b'{"do": "status"}\n', with_key=False)


@attempt("connect to another app's backend port, past the front door")
def connect_backend() -> str:
    return _connect(socket.AF_INET, ("127.0.0.1", TARGETS["backend"]))


@attempt("connect to what a person has listening on this machine (TCP, abstract Unix sockets)")
def connect_person() -> str:
    _connect(socket.AF_UNIX, f"\0{NAME}")
    return _connect(socket.AF_INET, ("127.0.0.1", TARGETS["tcp"]))


@attempt("connect to a person's Unix socket (as `ssh-agent`, `docker.sock`)")
def connect_unix() -> str:
    return _connect(socket.AF_UNIX, TARGETS["socket"])


@attempt("listen where another app listens")
def listen_there() -> str:
    with socket.create_server(("127.0.0.1", TARGETS["backend"])):
        return "listens"


@attempt("listen on another app's address as well (`SO_REUSEPORT`)")
def listen_beside() -> str:
    with socket.create_server(("127.0.0.1", TARGETS["address"]), reuse_port=True):
        return "listens"


@attempt("take ports of those that Trivet gives to processes")
def take_ports() -> str:
    refusal = OSError(0, "there is none")
    for port in range(29_990, 30_000):
        try:
            with socket.create_server(("127.0.0.1", port)):
                return str(port)
        except OSError as error:
            refusal = error
    raise refusal


@attempt("listen on a port that is another app's once it has ended")
def listen_then() -> str:
    with socket.create_server(("127.0.0.1", TARGETS["free"])):
        return "listens"


@attempt("open a raw socket")
def open_raw() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as one:
        return str(one)


@attempt("open a packet socket")
def open_packet() -> str:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as one:
        return str(one)
