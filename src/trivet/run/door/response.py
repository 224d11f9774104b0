"""A backend's answer's head: checked as strictly as a request's, and rewritten for the client. Pure."""

import re
from functools import lru_cache

from trivet.run.door.body import Body, Chunked, Fixed, UntilClose
from trivet.run.door.grammar import FIELD_LINE, TEXT, joined, parse_length, spans_of, tokens, without
from trivet.run.door.refusal import Refusal
from trivet.run.door.request import NO_REQUEST, Request

_RESPONSE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: " + TEXT + rb")?\r\n(?:" + FIELD_LINE + rb")*+\r\n")
_FIELDS = re.compile(
    rb"\r\n(connection|content-length|transfer-encoding|upgrade|keep-alive|proxy-connection|te):[ \t]*+([^\r]*+)",
    re.IGNORECASE,
)
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_CONNECTION_OPTIONS = frozenset({b"close", b"keep-alive", b"upgrade"})
_SWITCHING = 101
_NO_CONTENT = 204
_NOT_MODIFIED = 304
_MOST_RECALLED = 512
_MOST_RECALLED_BYTES = 2048
_IN_CHUNKS, _UNTIL_CLOSE = -1, -2


class Response:
    """What the relay must know of an answer; never changed once it is made. `size`: so many bytes of a body follow, if it
    is not negative.

    `keep_alive`: the backend leaves the connection open, and it may be used again. `closes`: its length is told by closing,
    so we must close, too.
    `is_interim`: a 1xx, the real answer is still to come. `switches`: the connection becomes a stream of bytes.
    """

    __slots__ = ("closes", "head", "is_interim", "keep_alive", "size", "status", "switches")

    def __init__(self, status: int) -> None:
        self.status = status
        self.switches = status == _SWITCHING
        self.is_interim = status < 200 and not self.switches
        self.size = 0
        self.keep_alive = True
        self.closes = False
        self.head = b""

    @property
    def last_head(self) -> bytes:
        """The head of an answer that the client's connection ends with."""
        return self.head[:-2] + b"Connection: close\r\n\r\n"

    def make_body(self) -> Body:
        """A framer for the body that follows."""
        if self.size >= 0:
            return Fixed(self.size)
        return Chunked() if self.size == _IN_CHUNKS else UntilClose()


def parse_response(head: bytes, request: Request) -> Response:
    """The answer that this head, its closing empty line included, gives to the request. Raises: Refusal."""
    if request.is_ordinary and len(head) <= _MOST_RECALLED_BYTES:
        return _recall(head)
    return _read(head, request)


def _read(head: bytes, request: Request) -> Response:
    match = _RESPONSE.fullmatch(head)
    if match is None:
        raise Refusal(502, "The app's answer breaks the rules of HTTP.")
    response = Response(int(match[2]))
    found, cuts = _find_fields(head)
    response.keep_alive = match[1] == b"1"
    if response.switches:
        return _switch(response, request, found, head)
    _frame(response, request, found, is_http10=not response.keep_alive)
    if found.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        _read_connection(response, found[b"connection"], head, cuts)
    if response.status == _NO_CONTENT or response.is_interim:
        cuts = sorted(cuts + spans_of(head, _FRAMING)) if _FRAMING & found.keys() else cuts
    response.closes = response.size == _UNTIL_CLOSE
    if cuts:
        head = without(head, cuts) + b"\r\n"
    if match[1] == b"0":
        head = b"HTTP/1.1" + head[8:]
    response.head = head
    return response


@lru_cache(_MOST_RECALLED)
def _recall(head: bytes) -> Response:
    """One app's answers are often alike, and what was read once is still true: for every ordinary request, the same."""
    return _read(head, NO_REQUEST)


def _find_fields(head: bytes) -> tuple[dict[bytes, bytes], list[tuple[int, int]]]:
    found: dict[bytes, bytes] = {}
    several: dict[bytes, list[bytes]] = {}
    cuts = []
    for match in _FIELDS.finditer(head):
        name = match[1].lower()
        value = match[2].rstrip(b" \t")
        if name in _FRAMING:
            if name in found:
                raise Refusal(502, "The app's answer says its length more than once.")
        else:
            cuts.append(match.span())
            if name in found:
                several.setdefault(name, [found[name]]).append(value)
        found[name] = value
    if several:
        found |= joined(several)
    return found, cuts


def _frame(response: Response, request: Request, found: dict[bytes, bytes], *, is_http10: bool) -> None:
    """The body's size is set, as RFC 9112 §6.3 says. Raises: Refusal."""
    length = found.get(b"content-length")
    coding = found.get(b"transfer-encoding")
    if coding is not None and (length is not None or is_http10):
        raise Refusal(502, "The app's answer says its length in two ways.")
    if coding is not None and coding.lower() != b"chunked":
        raise Refusal(502, "The only Transfer-Encoding an app's answer may have here is chunked.")
    size = 0 if length is None else parse_length(length)
    if size is None:
        raise Refusal(502, "The Content-Length of the app's answer is not a number.")
    if request.method == b"HEAD" or response.status < 200 or response.status in (_NO_CONTENT, _NOT_MODIFIED):
        # Some servers send the body all the same, in a packet of its own (gunicorn 23, to HEAD): on a connection that is
        # used again, it would be the answer to whoever asks next.
        if request.method == b"HEAD" or size or coding is not None:
            response.keep_alive = False
        return
    if coding is not None:
        if request.is_http10:
            raise Refusal(502, "The app's answer is in chunks, which the request's HTTP/1.0 does not know.")
        response.size = _IN_CHUNKS
    else:
        response.size = _UNTIL_CLOSE if length is None else size


def _read_connection(response: Response, value: bytes, head: bytes, cuts: list[tuple[int, int]]) -> None:
    options = tokens(value)
    if b"close" in options:
        response.keep_alive = False
    named = [option for option in options if option not in _CONNECTION_OPTIONS and option not in _FRAMING]
    if named:
        covered = set(cuts)
        cuts += [span for span in spans_of(head, named) if span not in covered]
        cuts.sort()


def _switch(response: Response, request: Request, found: dict[bytes, bytes], head: bytes) -> Response:
    """A 101 passes as it is: its Connection and Upgrade fields are meant for the client."""
    if not request.upgrades or b"upgrade" not in found:
        raise Refusal(502, "The app switched to a protocol that the request did not ask for.")
    response.head = head
    return response
