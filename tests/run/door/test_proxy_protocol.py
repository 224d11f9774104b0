"""The PROXY protocol: a load balancer says whose each connection is, on every connection or on none."""

import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.door import FrontDoor
from support.wire import Backend, Recorder, connect, exchange, read_answer
from trivet.run.door.proxy_header import MOST_BYTES, parse_proxy_header
from trivet.run.door.refusal import Refusal

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
GET_CLOSE = b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
FOUR = socket.inet_aton("203.0.113.7") + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 51000, 443)
SIX = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + socket.inet_pton(socket.AF_INET6, "::1") + b"\0\1\0\2"
TLS = b"\x20\0\x05\x01\0\0\0\0"
NOT_TLS = b"\x20\0\x05\x00\0\0\0\0"


def binary(command: int, family: int, rest: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(rest)) + rest


TOLD = {
    "1, IPv4": (b"PROXY TCP4 203.0.113.7 192.0.2.1 51000 443\r\n", b"203.0.113.7", b"http"),
    "1, IPv6": (b"PROXY TCP6 2001:DB8:0::7 ::1 51000 443\r\n", b"2001:db8::7", b"http"),
    "1, not known": (b"PROXY UNKNOWN\r\n", b"127.0.0.1", b"http"),
    "1, not known, with words": (b"PROXY UNKNOWN ffff:f...f:ffff 65535\r\n", b"127.0.0.1", b"http"),
    "1, this machine": (b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n", b"127.0.0.1", b"http"),
    "2, IPv4": (binary(0x21, 0x11, FOUR), b"203.0.113.7", b"http"),
    "2, IPv6": (binary(0x21, 0x21, SIX), b"2001:db8::7", b"http"),
    "2, TLS": (binary(0x21, 0x11, FOUR + b"\x03\0\4abcd" + TLS), b"203.0.113.7", b"https"),
    "2, no TLS": (binary(0x21, 0x11, FOUR + NOT_TLS), b"203.0.113.7", b"http"),
    "2, facts that we do not know": (binary(0x21, 0x11, FOUR + b"\x04\0\0" * 200), b"203.0.113.7", b"http"),
    "2, a health check of its own": (binary(0x20, 0x00, b""), b"127.0.0.1", b"http"),
    "2, not known": (binary(0x21, 0x00, b"xyz"), b"127.0.0.1", b"http"),
    "2, a Unix socket": (binary(0x21, 0x31, b"\0" * 216), b"127.0.0.1", b"http"),
}
REFUSED = {
    "none": b"",
    "one of version 1 that is too long": b"PROXY UNKNOWN " + b"x" * 120,
    "a name for an address": b"PROXY TCP4 localhost 192.0.2.1 1 2\r\n",
    "an IPv6 address in TCP4": b"PROXY TCP4 ::1 ::1 1 2\r\n",
    "an IPv4 address in TCP6": b"PROXY TCP6 192.0.2.1 192.0.2.1 1 2\r\n",
    "half an address": b"PROXY TCP4 203.0.113 192.0.2.1 1 2\r\n",
    "a port that is none": b"PROXY TCP4 203.0.113.7 192.0.2.1 65536 2\r\n",
    "a port with a zero": b"PROXY TCP4 203.0.113.7 192.0.2.1 01 2\r\n",
    "two spaces": b"PROXY TCP4  203.0.113.7 192.0.2.1 1 2\r\n",
    "a line feed": b"PROXY TCP4 203.0.113.7 192.0.2.1 1 2\n",
    "no port": b"PROXY TCP4 203.0.113.7 192.0.2.1 1\r\n",
    "UDP": b"PROXY UDP4 203.0.113.7 192.0.2.1 1 2\r\n",
    "small letters": b"proxy TCP4 203.0.113.7 192.0.2.1 1 2\r\n",
    "version 3": binary(0x31, 0x11, FOUR),
    "a command that nobody knows": binary(0x22, 0x11, FOUR),
    "datagrams": binary(0x21, 0x12, FOUR),
    "addresses that are too short": binary(0x21, 0x11, FOUR[:-1]),
    "a fact that ends in the middle": binary(0x21, 0x11, FOUR + b"\x20\0\x05\x01"),
    "half a fact": binary(0x21, 0x11, FOUR + b"\x20"),
    "more than 4 KiB": binary(0x21, 0x11, FOUR + b"\x04\x20\0" + b"x" * 8192),
}


@pytest.fixture
def proxied(door: FrontDoor, serve: Callable[..., Backend]) -> Recorder:
    """What reaches the app behind a door whose connections begin with the PROXY protocol."""
    recorder = Recorder()
    backends = [{"process": "web.1", "release": 1, "port": serve(recorder).port}]
    request = {"do": "route", "deploy": "shop/production", "backends": backends, "proxied": True}
    assert door.ask(request).ok
    return recorder


def test_the_address_and_the_scheme_that_are_told_reach_the_app(door: FrontDoor, proxied: Recorder) -> None:
    for header, address, scheme in TOLD.values():
        assert exchange(door.address, header + GET_CLOSE).endswith(b"\r\n\r\nok")
        told = proxied.requests.pop()
        assert b"\r\nX-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\n" % (address, scheme) in told


def test_what_does_not_begin_with_a_header_is_refused(door: FrontDoor, proxied: Recorder) -> None:
    for name, header in REFUSED.items():
        answer = exchange(door.address, header + GET_CLOSE)
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), name
        assert answer.count(b"\r\n\r\n") == 1, name
    assert proxied.requests == []
    assert exchange(door.address, GET) == (
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 94\r\n"
        b"Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        b"This address is for a proxy alone, and the connection does not begin with the PROXY protocol.\n"
    )


def test_a_header_where_none_is_expected_is_refused(door: FrontDoor, recorder: Recorder) -> None:
    for header, _, _ in TOLD.values():
        assert exchange(door.address, header + GET_CLOSE).startswith(b"HTTP/1.1 400 ")
    assert recorder.requests == []


def test_a_second_header_is_no_request(door: FrontDoor, proxied: Recorder) -> None:
    for header, _, _ in TOLD.values():
        assert exchange(door.address, header + header + GET_CLOSE).startswith(b"HTTP/1.1 400 ")
    assert proxied.requests == []


@pytest.mark.parametrize("name", ["1, IPv4", "2, TLS"])
def test_a_header_that_comes_byte_by_byte_is_told_once_for_the_whole_connection(
    door: FrontDoor, proxied: Recorder, name: str
) -> None:
    header, address, _ = TOLD[name]
    with connect(door.address) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in header + GET:
            client.sendall(bytes([byte]))
        assert read_answer(client)[1] == b"ok"
        client.sendall(GET)
        assert read_answer(client)[1] == b"ok"
    assert [address in request for request in proxied.requests] == [True, True]


def test_what_a_client_says_of_itself_is_not_believed(door: FrontDoor, proxied: Recorder) -> None:
    """Not even if it is on the load balancer's own machine."""
    lie = b"X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: bank\r\n\r\n"
    exchange(door.address, TOLD["1, this machine"][0] + GET_CLOSE.replace(b"\r\n\r\n", b"\r\n" + lie))
    assert b"For: 10.0.0.1, 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: shop\r\n" in proxied.requests[0]


def test_those_that_tell_nothing_do_not_take_all_descriptors(tmp_path: Path, serve: Callable[..., Backend]) -> None:
    door = FrontDoor(tmp_path / "home", ("prlimit", "--nofile=100:100"))
    silent: list[socket.socket] = []
    try:
        backends = [{"process": "web.1", "release": 1, "port": serve(Recorder()).port}]
        assert door.ask({"do": "route", "deploy": "shop/production", "backends": backends, "proxied": True}).ok
        silent = [connect(door.address) for _ in range(60)]  # more than half of what is left of a hundred
        assert door.ask({"do": "status"}).ok
        for client in silent[:50]:
            client.close()
        assert exchange(door.address, TOLD["1, IPv4"][0] + GET_CLOSE).endswith(b"\r\n\r\nok")
        assert "connections are open, as many as there are descriptors for" in door.log
    finally:
        for client in silent:
            client.close()
        door.close()


def test_a_client_that_goes_before_it_has_told_leaves_nothing(door: FrontDoor, proxied: Recorder) -> None:
    for sent in (b"", b"PROXY TCP4 ", SIGNATURE):
        with connect(door.address) as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
    assert door.status()["connections"] == 0


@given(
    data=st.builds(
        bytes.__add__, st.sampled_from([SIGNATURE, SIGNATURE + b"\x21\x11\0", b"PROXY "]), st.binary(max_size=200)
    )
)
@settings(deadline=None, max_examples=300, database=None)
def test_a_header_is_read_refused_or_waited_for_and_nothing_else(data: bytes) -> None:
    try:
        found = parse_proxy_header(data)
    except Refusal:
        return
    if found is None:
        assert len(data) < MOST_BYTES
    else:
        assert parse_proxy_header(data[: found[1]] + GET) is not None
        assert parse_proxy_header(data[: found[1] - 1]) is None
