"""A request's head: checked by RFC 9112, and rewritten for the backend. Pure; never guesses.

Its first line and what it may be are here, its fields in `fields.py`.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from trivet.run.door.fields import Fields, check_host, is_well_formed, read_fields
from trivet.run.door.grammar import HEAD_END, MOST_HEAD_BYTES, TOKEN, breaks_a_head, spans_of, without
from trivet.run.door.refusal import Refusal

# Up to the version's last digit; the group behind the method is there if the target is not a path.
_LINE = re.compile(rb"(" + TOKEN + rb") (?:/|([\x21-\x7e]))[\x21-\x7e]*+ HTTP/1\.(?=[01]\r\n)")
_ANY_LINE = re.compile(rb"" + TOKEN + rb" [\x21-\x7e]++ HTTP/([0-9])\.([0-9])\r\n")
_ABSOLUTE = re.compile(rb"https?://([^/?#@]++)([/?][^#]*+)?", re.IGNORECASE)
_REPEATABLE = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"})  # RFC 9110 §9.2.2
_MOST_RECALLED = 512
_MOST_RECALLED_BYTES = 2048
_EMPTY_LINES = re.compile(rb"(?:\r\n)*+")


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
    """What the relay must know of a request, its target apart; never changed once it is made, and the same for many.

    `is_repeatable`: it may be sent twice (idempotent). `is_ordinary`: its answer is framed as those to most requests are.
    """

    __slots__ = ("fields", "has_body", "is_http10", "is_ordinary", "is_repeatable", "keep_alive", "method", "upgrades")

    def __init__(self, method: bytes, fields: Fields) -> None:
        self.method = method
        self.fields = fields
        self.is_http10 = fields.is_http10
        self.keep_alive = fields.keep_alive
        self.upgrades = fields.upgrades
        self.has_body = fields.chunked or fields.length > 0
        self.is_repeatable = method in _REPEATABLE
        self.is_ordinary = not (method == b"HEAD" or self.is_http10 or self.upgrades)


def without_empty_lines(data: bytes) -> bytes:
    """What comes after the empty lines at the beginning: they are skipped before a request, RFC 9112 §2.2."""
    match = _EMPTY_LINES.match(data)
    return data[match.end() :] if match else data


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


def parse_request(head: bytes, peer: Peer) -> tuple[Request, bytes]:
    """The request that this head, its closing empty line included, stands for; and the head that the backend is sent.

    Raises: Refusal.

    It goes on in the client's own version: a backend must not answer HTTP/1.0 in chunks, so none are undone here.
    """
    line = _LINE.match(head)
    if line is None:
        raise _why_not(head)
    method, other = line.groups()
    version_at = line.end()
    if other is not None or method == b"CONNECT":
        head = _to_origin_form(head, method, version_at)
        version_at = head.index(b" HTTP/1.") + len(b" HTTP/1.")
    block = head[version_at:]
    is_small = len(method) + len(block) <= _MOST_RECALLED_BYTES
    request = _recall(method, block) if is_small else _read(method, block)
    fields = request.fields
    if fields.forwarded is None:
        return request, head[:version_at] + fields.passed_on + peer.fields + fields.host + HEAD_END
    return request, head[:version_at] + fields.passed_on + _forwarded(peer, fields.forwarded, fields.host)


# What an answer is framed by if nothing is known of its request, and what a connection at rest has for its last one.
NO_REQUEST = Request(b"GET", Fields(is_http10=False))


def _read(method: bytes, block: bytes) -> Request:
    return Request(method, read_fields(block))


# Clients say the same with every request of a connection, its target apart. What is read depends on nothing but these bytes,
# so what was read once is still true; what was refused is not kept: it is read, and refused, anew.
_recall = lru_cache(_MOST_RECALLED)(_read)


def _forwarded(peer: Peer, found: Mapping[bytes, bytes], host: bytes) -> bytes:
    """The X-Forwarded fields of a request that has some already."""
    before = found.get(b"x-forwarded-for")
    chain = before + b", " + peer.address if before else peer.address
    scheme = found.get(b"x-forwarded-proto") if peer.is_local else None
    asked = found.get(b"x-forwarded-host") if peer.is_local else None
    return b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n\r\n" % (
        chain,
        scheme or peer.scheme,
        asked or host,
    )


def _to_origin_form(head: bytes, method: bytes, version_at: int) -> bytes:
    """The head as it would be with a path alone: `http://host/path` is split as RFC 9112 §3.2.2 says. Raises: Refusal."""
    if not is_well_formed(head[version_at:]):
        raise _why_not(head)
    if method == b"CONNECT":
        raise Refusal(501, "CONNECT is not supported.")
    target = head[len(method) + 1 : version_at - len(b" HTTP/1.")]
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
    if hosts:
        check_host(head[hosts[0][0] + 7 : hosts[0][1]].strip(b" "))
    after_target = len(method) + 1 + len(target)
    rest = without(head, hosts)[after_target:]
    return method + b" " + path + rest + b"Host: " + match[1] + b"\r\n\r\n"


def _why_not(head: bytes) -> Refusal:
    line = _ANY_LINE.match(head)
    if line is None:
        return Refusal(400, "The request line cannot be read.")
    if line.groups() not in ((b"1", b"0"), (b"1", b"1")):
        return Refusal(505, "HTTP/1.1 and HTTP/1.0 are spoken here.")
    return Refusal(400, "A header field breaks the rules of RFC 9112.")
