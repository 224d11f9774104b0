"""Connecting out while compiling."""

import os
import socket

from attempts import HOME, TARGETS, attempt

_DEADLINE_S = 2.0
_NETLINK, _VSOCK, _PACKET = 16, 40, 17


def _connect(family: int, kind: int, address: object, protocol: int = 0) -> str:
    with socket.socket(family, kind, protocol) as one:
        one.settimeout(_DEADLINE_S)
        one.connect(address)  # type: ignore[arg-type]
        if kind == socket.SOCK_DGRAM and family == socket.AF_INET:
            one.send(b"owned")
            return one.recv(16).decode()
    return str(address)


@attempt("connect by TCP")
def connect_tcp() -> str:
    return _connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", TARGETS["tcp"]))


@attempt("send by UDP")
def connect_udp() -> str:
    return _connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", TARGETS["udp"]))


@attempt("ask the DNS")
def ask_dns() -> str:
    return str(socket.getaddrinfo("example.org", 80))


@attempt("connect to a Unix socket by its path (`control.sock`, `docker.sock`)")
def connect_unix() -> str:
    return _connect(socket.AF_UNIX, socket.SOCK_STREAM, str(HOME / "run/control.sock"))


@attempt("connect to an abstract Unix socket")
def connect_abstract() -> str:
    return _connect(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{TARGETS['abstract']}")


@attempt("open a raw socket")
def open_raw() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as one:
        return str(one)


@attempt("open a packet socket")
def open_packet() -> str:
    with socket.socket(_PACKET, socket.SOCK_RAW, 0) as one:
        return str(one)


@attempt("see the machine's network devices by netlink")
def see_devices() -> str:
    with socket.socket(_NETLINK, socket.SOCK_RAW, 0):
        others = [name for _, name in socket.if_nameindex() if name != "lo"]
    if others:
        return " ".join(others)
    raise OSError(0, "there is a loopback device alone")


@attempt("reach the hypervisor (vsock)")
def connect_vsock() -> str:
    return _connect(_VSOCK, socket.SOCK_STREAM, (2, 1024))


@attempt("let others connect to it")
def listen() -> str:
    with socket.create_server(("127.0.0.1", TARGETS["free"])), open("/proc/net/route") as routes:
        if len(routes.readlines()) > 1 or os.path.exists(f"/proc/{TARGETS['pid']}/cmdline"):
            return "on the machine's address"
    raise OSError(0, "on a loopback device of its own")
