"""The PROXY protocol, versions 1 and 2: how a load balancer tells whose connection it passes on. Pure; never guesses.

https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
"""

import re
import socket
import struct

from trivet.run.door.refusal import Refusal

MOST_BYTES = 4096  # of a header of version 2, whose extra facts could fill 64 KiB
_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_LONGEST_LINE = 107
_PORT = rb"(?:0|[1-9][0-9]{0,4})"
_LINE = re.compile(rb"PROXY (TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) (" + _PORT + rb") (" + _PORT + rb")\r\n")
_UNKNOWN = re.compile(rb"PROXY UNKNOWN[\x20-\x7e]*\r\n")
_FAMILIES = {b"TCP4": socket.AF_INET, b"TCP6": socket.AF_INET6}
_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21
_NO_ADDRESS = (0x00, 0x31)  # unspecified, and Unix sockets
_SSL, _CLIENT_USES_SSL = 0x20, 0x01


class Origin:
    """Who is behind the load balancer. `address` is None when it speaks for itself, or does not know."""

    __slots__ = ("address", "is_tls")

    def __init__(self, address: str | None, *, is_tls: bool = False) -> None:
        self.address = address
        self.is_tls = is_tls


def parse_proxy_header(data: bytes) -> tuple[Origin, int] | None:
    """Who is told to be there, and how many bytes said so; None: it is not whole yet. Raises: Refusal."""
    if data.startswith(_SIGNATURE[: len(data)]):
        return _parse_binary(data) if len(data) >= 16 else None
    if not data.startswith(b"PROXY "[: len(data)]):
        raise Refusal(
            400, "This address is for a proxy alone, and the connection does not begin with the PROXY protocol."
        )
    end = data.find(b"\n", 0, _LONGEST_LINE) + 1
    if end:
        return _parse_line(data[:end]), end
    if len(data) >= _LONGEST_LINE:
        raise _unreadable()
    return None


def _parse_line(line: bytes) -> Origin:
    if _UNKNOWN.fullmatch(line):
        return Origin(None)
    match = _LINE.fullmatch(line)
    if match is None or int(match[4]) > 65535 or int(match[5]) > 65535:
        raise _unreadable()
    family = _FAMILIES[match[1]]
    try:
        source, _ = (socket.inet_pton(family, text.decode()) for text in (match[2], match[3]))
    except OSError:
        raise _unreadable() from None
    return Origin(socket.inet_ntop(family, source))


def _parse_binary(data: bytes) -> tuple[Origin, int] | None:
    command, family, length = struct.unpack("!BBH", data[12:16])
    if command not in (_LOCAL, _PROXY) or 16 + length > MOST_BYTES:
        raise _unreadable()
    end = 16 + length
    if len(data) < end:
        return None
    if command == _LOCAL or family in _NO_ADDRESS:
        return Origin(None), end
    kind, size = {_TCP4: (socket.AF_INET, 4), _TCP6: (socket.AF_INET6, 16)}.get(family, (None, 0))
    if kind is None or length < 2 * size + 4:
        raise _unreadable()
    address = socket.inet_ntop(kind, data[16 : 16 + size])
    return Origin(address, is_tls=_tells_of_tls(data[16 + 2 * size + 4 : end])), end


def _tells_of_tls(facts: bytes) -> bool:
    """Whether the client's own connection is encrypted, as the type-length-value facts after the addresses say."""
    is_tls = False
    while facts:
        if len(facts) < 3:
            raise _unreadable()
        kind, length = struct.unpack("!BH", facts[:3])
        if len(facts) < 3 + length:
            raise _unreadable()
        if kind == _SSL and length:
            is_tls = bool(facts[3] & _CLIENT_USES_SSL)
        facts = facts[3 + length :]
    return is_tls


def _unreadable() -> Refusal:
    return Refusal(400, "The header of the PROXY protocol cannot be read.")
