"""What a client may send, what the backend then receives, and what is refused. RFC 9112, and known smuggling cases."""

import pytest

from support.door import FrontDoor
from support.wire import OK, Recorder, exchange

ADDED = b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: shop\r\n"

PASSED = {
    "a plain request": (
        b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: shop\r\n" + ADDED + b"\r\n",
    ),
    "empty lines before it": (
        b"\r\n\r\nGET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: shop\r\n" + ADDED + b"\r\n",
    ),
    "HTTP/1.0 without Host": (
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: \r\n\r\n",
    ),
    "a body by length": (
        b"POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
        b"POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\n" + ADDED + b"\r\nabc",
    ),
    "a body in chunks, with an extension and a trailer": (
        (
            b"POST / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            b'3;a="b"\r\nabc\r\n0\r\nDigest: x\r\n\r\n'
        ),
        b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n"
        + ADDED
        + b"\r\n3\r\nabc\r\n0\r\nDigest: x\r\n\r\n",
    ),
    "fields between two hops": (
        (
            b"GET / HTTP/1.1\r\nHost: shop\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy-Connection: x\r\nX-Hop: 1\r\n"
            b"Accept: */*\r\nConnection: close, X-Hop\r\n\r\n"
        ),
        b"GET / HTTP/1.1\r\nHost: shop\r\nAccept: */*\r\n" + ADDED + b"\r\n",
    ),
    "a chain of proxies": (
        (
            b"GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 10.1.1.1\r\nX-Forwarded-For: 10.1.1.2\r\n"
            b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: example.org\r\nConnection: close\r\n\r\n"
        ),
        (
            b"GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 10.1.1.1, 10.1.1.2, 127.0.0.1\r\n"
            b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: example.org\r\n\r\n"
        ),
    ),
    "a forged field with underscores": (
        b"GET / HTTP/1.1\r\nHost: shop\r\nX_Forwarded_For: 6.6.6.6\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: shop\r\n" + ADDED + b"\r\n",
    ),
    "what the door says, in other words": (
        (
            b"GET / HTTP/1.1\r\nHost: shop\r\nForwarded: for=6.6.6.6;host=evil;proto=https\r\nX-Forwarded-Ssl: on\r\n"
            b"X-Forwarded-Scheme: https\r\nx_forwarded_scheme: https\r\nX-Forwarded-Protocol: ssl\r\nAccept: */*\r\n"
            b"Connection: close\r\nX-Forwarded-Port: 8443\r\nX-Forwarded-Prefix: /a\r\n\r\n"
        ),
        (
            b"GET / HTTP/1.1\r\nHost: shop\r\nAccept: */*\r\nX-Forwarded-Port: 8443\r\nX-Forwarded-Prefix: /a\r\n"
            + ADDED
            + b"\r\n"
        ),
    ),
    "an absolute target": (
        b"GET http://shop/a?b HTTP/1.1\r\nHost: other\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        b"GET /a?b HTTP/1.1\r\nAccept: */*\r\nHost: shop\r\n" + ADDED + b"\r\n",
    ),
    "an absolute target without a path": (
        b"GET http://shop?b HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n",
        b"GET /?b HTTP/1.1\r\nHost: shop\r\n" + ADDED + b"\r\n",
    ),
    "OPTIONS *": (
        b"OPTIONS * HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: shop\r\n" + ADDED + b"\r\n",
    ),
    # Some servers take the bytes behind such a head for the new protocol's, or for another request: never for a body.
    "an upgrade with a body is no upgrade": (
        (
            b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\nUpgrade: other\r\n"
            b"Connection: Upgrade, close\r\n\r\nabc"
        ),
        b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\n" + ADDED + b"\r\nabc",
    ),
    "an upgrade with chunks is no upgrade": (
        (
            b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        b"GET / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n" + ADDED + b"\r\n0\r\n\r\n",
    ),
    "an upgrade to HTTP/2 is not passed on": (
        (
            b"GET / HTTP/1.1\r\nHost: shop\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
            b"Connection: Upgrade, HTTP2-Settings, close\r\n\r\n"
        ),
        b"GET / HTTP/1.1\r\nHost: shop\r\n" + ADDED + b"\r\n",
    ),
}


@pytest.mark.parametrize(("sent", "received"), PASSED.values(), ids=PASSED.keys())
def test_a_valid_request_reaches_the_backend(door: FrontDoor, recorder: Recorder, sent: bytes, received: bytes) -> None:
    answer = exchange(door.address, sent)
    assert recorder.requests == [received]
    assert answer == OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


HEAD_REFUSED = {
    "no request line": (400, b"hello\r\n\r\n"),
    "two spaces": (400, b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a space in the target": (400, b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a target that is no path": (400, b"GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a user in the target": (400, b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a control character in the target": (400, b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "HTTP/0.9": (400, b"GET /\r\n\r\n"),
    "HTTP/2": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/1.2": (505, b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    "lower case http": (400, b"GET / http/1.1\r\nHost: a\r\n\r\n"),
    "CONNECT": (501, b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"),
    "no Host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two Hosts": (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    "two Hosts and an absolute target": (400, b"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    "a Host with a path": (400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "a Host with a space": (400, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    "line feeds alone": (400, b"GET / HTTP/1.1\nHost: a\n\n"),
    "a line feed in a head": (400, b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
    "a bare CR in a value": (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n"),
    "a bare CR after a length": (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\rX: y\r\n\r\n"),
    "a NUL": (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: y\0z\r\n\r\n"),
    "a space before the colon": (400, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    "a space before the colon of a coding": (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n"),
    "a space before a name": (400, b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    "a folded line": (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n"),
    "a folded coding": (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n"),
    "a field without a colon": (400, b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n"),
    "an empty name": (400, b"GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n"),
    "a name in UTF-8": (400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encod\u0131ng: chunked\r\n\r\n".encode()),
    "two lengths": (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
    "the same length twice": (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    "a list of lengths": (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc"),
    "a length with a sign": (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc"),
    "a negative length": (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nabc"),
    "a length in hex": (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc"),
    "a length with an underscore": (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\n0123456789"),
    "an empty length": (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"),
    "a length of twenty digits": (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551619\r\n\r\n"),
    "a length named with an underscore": (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 3\r\n\r\nabc"),
    "length and chunks (CL.TE)": (
        400,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    ),
    "chunks and length (TE.CL)": (
        400,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\na\r\n0\r\n\r\n",
    ),
    "two codings": (
        400,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    ),
    "chunked twice": (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    "identity": (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc"),
    "xchunked": (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    "chunked in quotes": (400, b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n'),
    "chunked after a vertical tab": (
        400,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    ),
    "chunked in HTTP/1.0": (400, b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "a length taken away by Connection": (
        400,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: Content-Length\r\n\r\nabc",
    ),
    "a cookie taken away by Connection": (
        400,
        b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\nConnection: cookie\r\n\r\n",
    ),
    "a TLS greeting": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "a head of 65 KiB": (431, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 66560 + b"\r\n\r\n"),
    "a head without an end": (431, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 80000),
}


@pytest.mark.parametrize(("status", "sent"), HEAD_REFUSED.values(), ids=HEAD_REFUSED.keys())
def test_a_head_that_breaks_the_rules_is_refused_and_nothing_passed_on(
    door: FrontDoor, recorder: Recorder, status: int, sent: bytes
) -> None:
    answer = exchange(door.address, sent + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert answer.count(b"\r\n\r\n") == 1
    assert recorder.requests == []


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

BODY_REFUSED = {
    "no size": b"\r\nabc\r\n0\r\n\r\n",
    "a size in no digits": b"g\r\nabc\r\n0\r\n\r\n",
    "a size with 0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "a size with a sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "a negative size": b"-3\r\nabc\r\n0\r\n\r\n",
    "a space before a size": b" 3\r\nabc\r\n0\r\n\r\n",
    "a space after a size": b"3 \r\nabc\r\n0\r\n\r\n",
    "a size of seventeen digits": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "a line feed after a size": b"3\nabc\r\n0\r\n\r\n",
    "a bare CR after a size": b"3\rabc\r\n0\r\n\r\n",
    "a line feed in an extension (TERM.EXT)": b"3;x\nabc\r\n0\r\n\r\n",
    "an extension without end": b"3;" + b"x" * 5000,
    "a chunk that is longer": b"3\r\nabcd\r\n0\r\n\r\n",
    "a chunk that ends with a line feed": b"3\r\nabc\n0\r\n\r\n",
    "a chunk that ends with other bytes": b"3\r\nabcXX0\r\n\r\n",
    "a folded trailer": b"0\r\nA: b\r\n c\r\n\r\n",
    "a trailer with a length": b"0\r\nContent-Length: 3\r\n\r\n",
    "a trailer with a coding": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a trailer with a host": b"0\r\nHost: other\r\n\r\n",
    "a trailer that ends with a line feed": b"0\r\nA: b\n\r\n",
    "trailers without end": b"0\r\n" + b"A: " + b"b" * 4000 + (b"\r\nA: " + b"b" * 4000) * 5 + b"\r\n\r\n",
}


@pytest.mark.parametrize("body", BODY_REFUSED.values(), ids=BODY_REFUSED.keys())
def test_a_body_that_breaks_the_rules_never_becomes_a_request(door: FrontDoor, recorder: Recorder, body: bytes) -> None:
    answer = exchange(door.address, CHUNKED + body + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.count(b"\r\n\r\n") == 1
    assert recorder.requests == []


def test_a_refusal_says_which_rule_was_broken(door: FrontDoor, recorder: Recorder) -> None:
    answer = exchange(door.address, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    assert answer == (
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 40\r\n"
        b"Cache-Control: no-store\r\nConnection: close\r\n\r\nThe field host is there more than once.\n"
    )


def test_pipelined_requests_are_answered_one_after_the_other(door: FrontDoor, recorder: Recorder) -> None:
    requests = [b"GET /%d HTTP/1.1\r\nHost: shop\r\n\r\n" % number for number in range(9)]
    requests.append(b"POST /9 HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc")
    answer = exchange(door.address, b"".join(requests))
    assert answer == OK * 9 + OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert [request.split()[1] for request in recorder.requests] == [b"/%d" % number for number in range(10)]
