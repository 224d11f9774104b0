"""A request's head: checked by RFC 9112, and rewritten for the backend. Pure; never guesses.

The published smuggling cases live here: whatever two parsers could read in two ways is refused.
"""

import re
from collections.abc import Mapping

from trivet.run.door.grammar import (
    FIELD_LINE,
    HEAD_END,
    MOST_HEAD_BYTES,
    TOKEN,
    breaks_a_head,
    parse_length,
    spans_of,
    tokens,
    without,
)
from trivet.run.door.refusal import Refusal

_REQUEST = re.compile(rb"(" + TOKEN + rb") ([\x21-\x7e]++) HTTP/1\.([01])\r\n(?:" + FIELD_LINE + rb")*+\r\n")
_REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([\x21-\x7e]++) HTTP/([0-9])\.([0-9])\r\n")
_ABSOLUTE = re.compile(rb"https?://([^/?#@]++)([/?][^#]*+)?", re.IGNORECASE)
_SLASH = 47
_HOST = re.compile(rb"[-A-Za-z0-9._~%!$&'()*+;=:\[\]]*+")
# Names with "_" reach a CGI-like app (WSGI, Rack) as the same variable as those with "-".
_FIELDS = re.compile(
    rb"\r\n(host|connection|content[-_]length|transfer[-_]encoding|upgrade|keep-alive|proxy-connection|te"
    rb"|http2-settings|expect|x[-_]forwarded[-_](?:for|proto|host)): *+([^\r]*+)",
    re.IGNORECASE,
)
_PASSED_ON = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})
_AMBIGUOUS = frozenset({b"content_length", b"transfer_encoding"})
_FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"})
_ESSENTIAL = frozenset({b"host", b"content-length", b"transfer-encoding", b"content-type", b"cookie", b"authorization"})
_CONNECTION_OPTIONS = frozenset({b"close", b"keep-alive", b"upgrade"})
_REPEATABLE = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"})  # RFC 9110 §9.2.2

Span = tuple[int, int]


class Peer:
    """Who is at the other end, in the words of the X-Forwarded fields.

    A peer on this machine may be a proxy that ends TLS: what it says of the scheme and the host is passed on. `is_told`: a
    load balancer told the address, by the PROXY protocol; what the peer says of itself is then not believed.
    """

    __slots__ = ("address", "fields", "is_local", "is_told", "scheme")

    def __init__(self, address: str, *, is_told: bool = False, is_tls: bool = False) -> None:
        plain = address.removeprefix("::ffff:")
        self.address = plain.encode()
        self.is_told = is_told
        self.is_local = not is_told and (plain == "::1" or plain.startswith("127."))
        self.scheme = b"https" if is_tls else b"http"
        told = b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\n" % (self.address, self.scheme)
        self.fields = told + b"X-Forwarded-Host: "

    @classmethod
    def from_facts(cls, facts: Mapping[str, object]) -> "Peer":
        """The peer that another door told of with `as_facts`."""
        return cls(str(facts["peer"]), is_told=facts.get("told") is True, is_tls=facts.get("tls") is True)

    def as_facts(self) -> dict[str, object]:
        """What makes it up, for JSON."""
        return {"peer": self.address.decode(), "told": self.is_told, "tls": self.scheme == b"https"}


class Request:
    """What the relay must know of a request; `head` is what the backend is sent, `length` counts the body's bytes.

    Plain slots instead of a frozen dataclass: one is made for every request, and `dataclasses` alone would cost the
    process 1.5 MB.
    """

    __slots__ = ("chunked", "head", "is_http10", "keep_alive", "length", "method", "upgrades")

    def __init__(self, method: bytes, *, is_http10: bool) -> None:
        self.method = method
        self.is_http10 = is_http10
        self.keep_alive = not is_http10
        self.upgrades = False
        self.chunked = False
        self.length = 0
        self.head = b""

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be sent twice (idempotent)."""
        return self.method in _REPEATABLE


def end_of_head(data: bytes, seen: int) -> int | None:
    """How many bytes the head has, the first of these seen before; None: it is not whole. Raises: Refusal: it never will be."""
    end = data.find(HEAD_END, max(seen - 3, 0)) + len(HEAD_END)
    if len(HEAD_END) <= end <= MOST_HEAD_BYTES:
        return end
    if len(data) > MOST_HEAD_BYTES:
        raise Refusal(431, "The request's head is larger than 64 KiB.")
    if breaks_a_head(data, max(seen - 1, 0)):
        raise Refusal(400, "The request's head holds a bare CR or LF, or a control character.")
    return None


def parse_request(head: bytes, peer: Peer) -> Request:
    """The request that this head, its closing empty line included, stands for. Raises: Refusal.

    It goes on in the client's own version: a backend must not answer HTTP/1.0 in chunks, so none are undone here.
    """
    match = _REQUEST.fullmatch(head)
    if match is None:
        raise _why_not(head)
    method, target, minor = match.groups()
    if method == b"CONNECT":
        raise Refusal(501, "CONNECT is not supported.")
    if target[0] != _SLASH:
        head = _to_origin_form(head, method, target)
    found, cuts = _find_fields(head)
    request = Request(method, is_http10=minor == b"0")
    host = _check_host(found, request)
    if len(found) > 1 or request.is_http10:  # Host alone, as most requests have it, frames nothing
        _frame(request, found)
    if cuts:
        added = _read_connection(request, found, head, cuts) + _forwarded(peer, found, host)
        request.head = without(head, cuts) + added + b"\r\n"
    else:
        request.head = head[:-2] + peer.fields + host + b"\r\n\r\n"
    return request


def _find_fields(head: bytes) -> tuple[dict[bytes, bytes], list[Span]]:
    found: dict[bytes, bytes] = {}
    cuts = []
    for match in _FIELDS.finditer(head):
        name = match[1].lower()
        value = match[2].rstrip(b" ")  # a tab stays: not everybody takes it for a space, and the field is passed on
        if name in _PASSED_ON:
            if name in found:
                raise Refusal(400, f"The field {name.decode()} is there more than once.")
        else:
            value = value.strip(b" \t")
            cuts.append(match.span())
            if name in found:
                value = found[name] + b", " + value
        found[name] = value
    return found, cuts


def _check_host(found: dict[bytes, bytes], request: Request) -> bytes:
    host = found.get(b"host")
    if host is None:
        if not request.is_http10:
            raise Refusal(400, "The request has no Host field.")
        return b""
    if _HOST.fullmatch(host) is None:
        raise Refusal(400, "The Host field is not a host and a port.")
    return host


def _frame(request: Request, found: dict[bytes, bytes]) -> None:
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
        if request.is_http10 or coding.lower() != b"chunked":
            raise Refusal(400, "The only Transfer-Encoding a request may have here is chunked, in HTTP/1.1.")
        request.chunked = True
    elif length is not None:
        parsed = parse_length(length)
        if parsed is None:
            raise Refusal(400, "The Content-Length is not a number.")
        request.length = parsed


def _read_connection(request: Request, found: dict[bytes, bytes], head: bytes, cuts: list[Span]) -> bytes:
    """The options of the Connection field are applied; returns the fields to add for an upgrade. Extends `cuts`."""
    if found.get(b"connection", b"").lower() == b"keep-alive" and b"upgrade" not in found:
        return b""
    options = tokens(found.get(b"connection", b""))
    if b"close" in options:
        request.keep_alive = False
    named = [option for option in options if option not in _CONNECTION_OPTIONS and option not in found]
    if not _ESSENTIAL.isdisjoint(options):
        raise Refusal(400, "The Connection field names a field that must reach the app.")
    if named:
        cuts += spans_of(head, named)
        cuts.sort()
    protocol = found.get(b"upgrade", b"")
    # HTTP/2 in clear text would be a second way past the framing here: never passed on
    if b"upgrade" in options and protocol and b"h2c" not in protocol.lower() and not request.is_http10:
        request.upgrades = True
        return b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\n"
    return b""


def _forwarded(peer: Peer, found: dict[bytes, bytes], host: bytes) -> bytes:
    if _FORWARDED.isdisjoint(found):
        return peer.fields + host + b"\r\n"
    before = found.get(b"x-forwarded-for")
    chain = before + b", " + peer.address if before else peer.address
    scheme = found.get(b"x-forwarded-proto") if peer.is_local else None
    asked = found.get(b"x-forwarded-host") if peer.is_local else None
    return b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n" % (
        chain,
        scheme or peer.scheme,
        asked or host,
    )


def _to_origin_form(head: bytes, method: bytes, target: bytes) -> bytes:
    """The head as it would be with a path alone: `http://host/path` is split as RFC 9112 §3.2.2 says."""
    if target == b"*" and method == b"OPTIONS":
        return head
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise Refusal(400, "The request target is not a path.")
    path = match[2] or b"/"
    if path.startswith(b"?"):
        path = b"/" + path
    hosts = spans_of(head, [b"host"])
    if len(hosts) > 1:
        raise Refusal(400, "The field host is there more than once.")
    if not hosts and b" HTTP/1.1\r\n" in head:
        raise Refusal(400, "The request has no Host field.")
    if hosts and _HOST.fullmatch(head[hosts[0][0] + 7 : hosts[0][1]].strip(b" ")) is None:
        raise Refusal(400, "The Host field is not a host and a port.")
    after_target = len(method) + 1 + len(target)
    rest = without(head, hosts)[after_target:]
    return method + b" " + path + rest + b"Host: " + match[1] + b"\r\n\r\n"


def _why_not(head: bytes) -> Refusal:
    line = _REQUEST_LINE.match(head)
    if line is None:
        return Refusal(400, "The request line cannot be read.")
    if (line[3], line[4]) not in ((b"1", b"0"), (b"1", b"1")):
        return Refusal(505, "HTTP/1.1 and HTTP/1.0 are spoken here.")
    return Refusal(400, "A header field breaks the rules of RFC 9112.")
