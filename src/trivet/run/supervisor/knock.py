"""How a process is reached to be asked how it is: on its own port, or on the socket that it has inherited."""

import socket
from collections.abc import Callable
from errno import EINPROGRESS

# A new connection, which may not be there yet, and does not block. Raises: OSError, TrivetError.
Knock = Callable[[], socket.socket]


def knock_at(port: int) -> socket.socket:
    """A connection to this port of 127.0.0.1; see `Knock`."""
    caller = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    caller.settimeout(0)
    code = caller.connect_ex(("127.0.0.1", port))
    if code not in (0, EINPROGRESS):
        caller.close()
        raise OSError(code, "cannot connect")
    return caller
