"""Where metrics are served, as a person writes it: `127.0.0.1:9180`, `[::1]:9180` or `unix:/run/trivet-metrics.sock`."""

import re
import socket

from trivet.errors import InputError
from trivet.model.frozen import frozen

_UNIX = "unix:"
_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+)):([0-9]{1,5})")
_LAST_PORT = 65535


@frozen
class Endpoint:
    """An address and a port of this machine, or else the path of a socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"{_UNIX}{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_open_to_others(self) -> bool:
        """Whether other machines may reach it."""
        return not self.path and self.host != "::1" and not self.host.startswith("127.")


def parse_endpoint(text: str) -> Endpoint:
    """What the text means. Raises: InputError."""
    if text.startswith(_UNIX):
        path = text.removeprefix(_UNIX)
        if path.startswith("/") and not path.endswith("/") and "\0" not in path:
            return Endpoint(path=path)
        raise _unreadable(text, "the path of a socket is absolute")
    if match := _PORT.fullmatch(text):
        host = "127.0.0.1" if match[2] == "localhost" else match[1] or match[2]
        if not _is_address(host, socket.AF_INET6 if match[1] else socket.AF_INET):
            raise _unreadable(text, f"{host!r} is no IP address")
        if not 0 < int(match[3]) <= _LAST_PORT:
            raise _unreadable(text, f"ports are 1 to {_LAST_PORT}")
        return Endpoint(host, int(match[3]))
    raise _unreadable(text, "it is neither HOST:PORT nor unix:PATH")


def _is_address(text: str, family: socket.AddressFamily) -> bool:
    try:
        socket.inet_pton(family, text)
    except (OSError, ValueError):
        return False
    return True


def _unreadable(text: str, why: str) -> InputError:
    return InputError(
        f"{text!r} is not where metrics can be served: {why}.",
        hint="Write 127.0.0.1:9180, [::1]:9180 or unix:/run/trivet-metrics.sock.",
    )
