"""Whatever bytes come, the door lives, and the next good request is answered."""

import contextlib
import socket
import string
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.door import FrontDoor
from support.wire import OK, Backend, Recorder, connect, read_all, read_answer
from trivet.run.door.body import Chunked
from trivet.run.door.fields import Fields
from trivet.run.door.refusal import Refusal
from trivet.run.door.request import Peer, Request, parse_request
from trivet.run.door.response import parse_response

BOUNDED = settings(
    deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
PIECES = st.sampled_from(
    [
        b"GET ",
        b"POST ",
        b"/ ",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b"Host: a",
        b"Host: b",
        b"Content-Length: 3",
        b"Content-Length: 0",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding:\tchunked",
        b"Connection: close",
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Expect: 100-continue",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"abc",
        b": ",
        b"HTTP/1.1 200 OK\r\n",
    ]
)
MESSAGES = st.lists(PIECES | st.binary(max_size=20), max_size=25).map(b"".join)
TOKENS = st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=20)


@given(sent=MESSAGES)
@BOUNDED
def test_no_bytes_from_a_client_harm_the_door(door: FrontDoor, recorder: Recorder, sent: bytes) -> None:
    with connect(door.address) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        read_all(client)
    with connect(door.address) as client:
        client.sendall(b"GET /good HTTP/1.1\r\nHost: shop\r\n\r\n")
        assert read_answer(client)[1] == b"ok"


class Babbler:
    """A backend that answers /good well, and everything else with what it was told."""

    def __init__(self) -> None:
        self.pieces: tuple[bytes, ...] = ()

    def __call__(self, connection: socket.socket) -> None:
        good = b"/good" in connection.recv(65536)
        for piece in (OK,) if good else self.pieces:
            connection.sendall(piece)


@pytest.fixture
def babbler(door: FrontDoor, serve: Callable[..., Backend]) -> Babbler:
    babbler = Babbler()
    door.route(serve(babbler).port)
    return babbler


@given(sent=MESSAGES, split=st.integers(1, 60))
@BOUNDED
def test_no_bytes_from_a_backend_harm_the_door(door: FrontDoor, babbler: Babbler, sent: bytes, split: int) -> None:
    babbler.pieces = (b"HTTP/1.1 200 OK\r\n" + sent[:split], sent[split:])
    with connect(door.address) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            read_all(client)
    with connect(door.address) as client:
        client.sendall(b"GET /good HTTP/1.1\r\nHost: shop\r\n\r\n")
        assert read_answer(client)[1] == b"ok"


def refused_with(read: Callable[[], object]) -> int:
    """The status that reading was refused with, or 0."""
    try:
        read()
    except Refusal as refusal:
        return refusal.status
    return 0


@given(data=MESSAGES)
@settings(deadline=None, max_examples=500, database=None)
def test_a_head_is_read_or_refused_and_nothing_else(data: bytes) -> None:
    peer, asked = Peer("10.0.0.1"), Request(b"GET", Fields(is_http10=False))
    for head in (data, b"GET / HTTP/1.1\r\nHost: a\r\n" + data + b"\r\n\r\n"):
        status = refused_with(lambda head=head: parse_request(head, peer))  # type: ignore[misc]
        assert status in (0, 400, 417, 501, 505)
        if not status:
            _, passed_on = parse_request(head, peer)
            assert passed_on.find(b"\r\n\r\n") == len(passed_on) - 4
    answer = b"HTTP/1.1 200 OK\r\n" + data + b"\r\n\r\n"
    assert refused_with(lambda: parse_response(answer, asked)) in (0, 502)


@given(target=TOKENS, fields=st.dictionaries(TOKENS.map(lambda name: f"X-{name}"), TOKENS, max_size=10))
@settings(deadline=None, max_examples=200, database=None)
def test_fields_that_are_nobodys_business_pass_as_they_are(target: str, fields: dict[str, str]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if "forwarded" not in name.lower())
    head = f"GET /{target} HTTP/1.1\r\nHost: shop\r\n{lines}\r\n".encode()
    _, once = parse_request(head, Peer("10.0.0.1"))
    assert once.startswith(head[:-2])
    _, twice = parse_request(once, Peer("10.0.0.2"))
    assert b"X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n" in twice


LINES = st.lists(
    st.sampled_from(
        [
            b"Host: shop",
            b"host: shop:80",
            b"Content-Length: 3",
            b"content-length: 0",
            b"Transfer-Encoding: chunked",
            b"Connection: close",
            b"Connection: keep-alive",
            b"Connection: Upgrade, x-hop",
            b"Upgrade: websocket",
            b"X-Hop: 1",
            b"X-Forwarded-For: 10.1.1.1",
            b"X-Forwarded-Proto: https",
            b"Keep-Alive: timeout=5",
            b"Cookie: a=b",
            b"Odd : 1",
        ]
    ),
    min_size=1,
    max_size=5,
)
STARTS = st.sampled_from(
    [b"GET / HTTP/1.1", b"POST /a HTTP/1.1", b"HEAD / HTTP/1.1", b"GET / HTTP/1.0", b"GET http://b/c HTTP/1.1"]
)
STATUSES = st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.1 204 None", b"HTTP/1.0 200 OK", b"HTTP/1.1 101 Other"])
LONG = b"X-Long: " + b"x" * 4096  # what is as long as this is read anew each time


@given(starts=st.lists(STARTS, min_size=3, max_size=6), lines=LINES)
@settings(deadline=None, max_examples=400, database=None)
def test_fields_that_were_seen_before_are_read_like_new_ones(starts: list[bytes], lines: list[bytes]) -> None:
    for number, start in enumerate(starts):
        peer = Peer("127.0.0.1" if number % 2 else "10.0.0.1")
        seen, new = (read_request([start, *lines, *more], peer) for more in ((), (LONG,)))
        assert seen == new


@given(statuses=st.lists(STATUSES, min_size=2, max_size=5), lines=LINES, starts=st.lists(STARTS, min_size=2))
@settings(deadline=None, max_examples=400, database=None)
def test_answers_that_were_seen_before_are_read_like_new_ones(
    statuses: list[bytes], lines: list[bytes], starts: list[bytes]
) -> None:
    for start in starts:
        asked, _ = parse_request(start + b"\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", Peer("::1"))
        for status in statuses:
            seen, new = (read_response([status, *lines, *more], asked) for more in ((), (LONG,)))
            assert seen == new


def read_request(lines: list[bytes], peer: Peer) -> object:
    """All that comes of it."""
    try:
        request, passed_on = parse_request(b"\r\n".join(lines) + b"\r\n\r\n", peer)
    except Refusal as refusal:
        return refusal.status, refusal.text
    fields = request.fields
    said = fields.host, fields.length, fields.chunked, request.is_http10, request.keep_alive, request.upgrades
    return request.method, request.is_repeatable, request.has_body, said, passed_on.replace(LONG + b"\r\n", b"")


def read_response(lines: list[bytes], asked: Request) -> object:
    """All that comes of it."""
    try:
        response = parse_response(b"\r\n".join(lines) + b"\r\n\r\n", asked)
    except Refusal as refusal:
        return refusal.status, refusal.text
    said = response.status, response.size, response.keep_alive, response.closes, response.switches
    return said, response.head.replace(LONG + b"\r\n", b""), response.last_head.replace(LONG + b"\r\n", b"")


@given(chunks=st.lists(st.binary(min_size=1, max_size=50), max_size=6), rest=st.binary(max_size=9), data=st.data())
@settings(deadline=None, max_examples=300, database=None)
def test_chunks_are_read_the_same_however_they_arrive(chunks: list[bytes], rest: bytes, data: st.DataObject) -> None:
    wire = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nA: b\r\n\r\n"
    body = Chunked()
    passed = left = b""
    sent = wire + rest
    while sent and not body.done:
        size = data.draw(st.integers(1, len(sent)))
        piece, left = body.take(sent[:size])
        passed += piece
        sent = sent[size:]
    assert body.done
    assert passed == wire
    assert left + sent == rest
