"""A network of its own for each worker of the suite, so that two tests never meet at a port.

Ports, and what listens at them, belong to a network namespace (network_namespaces(7)). Each worker makes one and is in it
whenever a test runs, but for tests marked `fetches`: those need the machine's own network, and run in one worker, one after
another. Making one needs root; without it the suite runs in one process.
"""

import ctypes
import fcntl
import os
import socket
import struct

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET of <sched.h>
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP: netdevice(7)
_WHERE = "/proc/thread-self/ns/net"


class Network:
    """The machine's network and a private one with a loopback interface alone; this process is in one of them."""

    def __init__(self) -> None:
        """Makes the private one and enters it. OSError: the kernel refuses."""
        self._calls = ctypes.CDLL(None, use_errno=True)
        self._shared = os.open(_WHERE, os.O_RDONLY)
        self._call("unshare", _NEW_NETWORK)
        self._private = os.open(_WHERE, os.O_RDONLY)
        _raise_loopback()

    def enter(self, *, shared: bool) -> None:
        """Goes to the machine's network, or back to the private one; what this thread starts from now on is there too."""
        self._call("setns", self._shared if shared else self._private, _NEW_NETWORK)

    def _call(self, name: str, *values: int) -> None:
        if getattr(self._calls, name)(*values) != 0:
            raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def can_be_apart() -> bool:
    """Whether this process may make networks."""
    child = os.fork()
    if child == 0:
        try:
            Network()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket, _GET_FLAGS, struct.pack("16sH14x", b"lo", 0))
        flags = struct.unpack("16sH14x", answer)[1] | _UP
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sH14x", b"lo", flags))
