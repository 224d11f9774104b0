"""A request's header fields: checked by RFC 9112, and rewritten for the backend. Pure; never guesses.

The published smuggling cases live here and in `request.py`: whatever two parsers could read in two ways is refused.
"""

import re

from trivet.run.door.grammar import FIELD_LINE, joined, parse_length, spans_of, tokens, without
from trivet.run.door.refusal import Refusal

_BLOCK = re.compile(rb"[01]\r\n(?:" + FIELD_LINE + rb")*+\r\n")
_HOST = re.compile(rb"[-A-Za-z0-9._~%!$&'()*+;=:\[\]]*+")
# Names with "_" reach a CGI-like app (WSGI, Rack) as the same variable as those with "-". What says in other words (Forwarded,
# X-Forwarded-Ssl …) what the door says of the client is not passed on: Rack believes it first.
_FIELDS = re.compile(
    rb"\r\n(host|connection|content[-_]length|transfer[-_]encoding|upgrade|keep-alive|proxy-connection|te"
    rb"|http2-settings|expect|forwarded|x[-_]forwarded[-_](?:for|proto|host|ssl|scheme|protocol)): *+([^\r]*+)",
    re.IGNORECASE,
)
_PASSED_ON = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})
_AMBIGUOUS = frozenset({b"content_length", b"transfer_encoding"})
_FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"})
_ESSENTIAL = frozenset({b"host", b"content-length", b"transfer-encoding", b"content-type", b"cookie", b"authorization"})
_CONNECTION_OPTIONS = frozenset({b"close", b"keep-alive", b"upgrade"})

Found = dict[bytes, bytes]
Span = tuple[int, int]


class Fields:
    """What the fields of a request say, whoever sent them and whatever for; never changed once it is made.

    `passed_on` is what the backend gets of them, from the version's last digit to the last field's line end.
    `forwarded`: the X-Forwarded fields among them; None, as mostly, if there are none.
    """

    __slots__ = ("chunked", "forwarded", "host", "is_http10", "keep_alive", "length", "passed_on", "upgrades")

    def __init__(self, *, is_http10: bool) -> None:
        self.is_http10 = is_http10
        self.keep_alive = not is_http10
        self.upgrades = False
        self.chunked = False
        self.length = 0
        self.host = b""
        self.passed_on = b""
        self.forwarded: Found | None = None


def check_host(host: bytes) -> None:
    """Raises: Refusal: it is not a host with or without a port."""
    if _HOST.fullmatch(host) is None:
        raise Refusal(400, "The Host field is not a host and a port.")


def is_well_formed(block: bytes) -> bool:
    """Whether every line is a field as RFC 9112 has it, whatever it says."""
    return _BLOCK.fullmatch(block) is not None


def read_fields(block: bytes) -> Fields:
    """What this part of a head says, from the version's last digit to the closing empty line. Raises: Refusal."""
    if _BLOCK.fullmatch(block) is None:
        raise Refusal(400, "A header field breaks the rules of RFC 9112.")
    found, cuts = _find_fields(block)
    fields = Fields(is_http10=block.startswith(b"0"))
    _read_host(fields, found)
    if len(found) > 1 or fields.is_http10:  # Host alone, as most requests have it, frames nothing
        _frame(fields, found)
    added = _read_connection(fields, found, block, cuts) if cuts else b""
    fields.passed_on = without(block, cuts) + added
    if not _FORWARDED.isdisjoint(found):
        fields.forwarded = found
    return fields


def _find_fields(block: bytes) -> tuple[Found, list[Span]]:
    found: Found = {}
    several: dict[bytes, list[bytes]] = {}
    cuts = []
    for match in _FIELDS.finditer(block):
        name = match[1].lower()
        value = match[2].rstrip(b" ")  # a tab stays: not everybody takes it for a space, and the field is passed on
        if name in _PASSED_ON:
            if name in found:
                raise Refusal(400, f"The field {name.decode()} is there more than once.")
        else:
            value = value.strip(b" \t")
            cuts.append(match.span())
            if name in found:
                several.setdefault(name, [found[name]]).append(value)
        found[name] = value
    if several:
        found |= joined(several)
    return found, cuts


def _read_host(fields: Fields, found: Found) -> None:
    host = found.get(b"host")
    if host is not None:
        check_host(host)
        fields.host = host
    elif not fields.is_http10:
        raise Refusal(400, "The request has no Host field.")


def _frame(fields: Fields, found: Found) -> None:
    """The request's length is known, in the one way RFC 9112 §6.3 leaves. Raises: Refusal."""
    if not _AMBIGUOUS.isdisjoint(found):
        raise Refusal(400, "A field's name is written with an underscore to look like another.")
    if found.get(b"expect", b"100-continue").lower() != b"100-continue":
        raise Refusal(417, "The only Expect that is understood here is 100-continue.")
    length = found.get(b"content-length")
    coding = found.get(b"transfer-encoding")
    if coding is not None:
        if length is not None:
            raise Refusal(400, "Both Content-Length and Transfer-Encoding are there.")
        if fields.is_http10 or coding.lower() != b"chunked":
            raise Refusal(400, "The only Transfer-Encoding a request may have here is chunked, in HTTP/1.1.")
        fields.chunked = True
    elif length is not None:
        parsed = parse_length(length)
        if parsed is None:
            raise Refusal(400, "The Content-Length is not a number.")
        fields.length = parsed


def _read_connection(fields: Fields, found: Found, block: bytes, cuts: list[Span]) -> bytes:
    """The options of the Connection field are applied; returns the fields to add for an upgrade. Extends `cuts`."""
    if found.get(b"connection", b"").lower() == b"keep-alive" and b"upgrade" not in found:
        return b""
    options = tokens(found.get(b"connection", b""))
    if b"close" in options:
        fields.keep_alive = False
    named = [option for option in options if option not in _CONNECTION_OPTIONS and option not in found]
    if not _ESSENTIAL.isdisjoint(options):
        raise Refusal(400, "The Connection field names a field that must reach the app.")
    if named:
        cuts += spans_of(block, named)
        cuts.sort()
    protocol = found.get(b"upgrade", b"")
    # HTTP/2 in clear text would be a second way past the framing here. And with an Upgrade before it, some servers
    # (httptools, as uvicorn uses it) take a body for the next request. Neither is passed on.
    is_safe = b"h2c" not in protocol.lower() and not (fields.chunked or fields.length or fields.is_http10)
    if b"upgrade" in options and protocol and is_safe:
        fields.upgrades = True
        return b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\n"
    return b""
