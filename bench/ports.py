"""Ports of this machine that programs beside one another listen on."""

import socket
import time

HOST = "127.0.0.1"
_DEADLINE_S = 60.0
_POLL_S = 0.01


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    """Somebody listens on the port. Raises: ConnectionRefusedError: nobody does in time."""
    deadline = time.monotonic() + _DEADLINE_S
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)
        else:
            return
