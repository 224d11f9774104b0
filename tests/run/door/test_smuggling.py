"""The published smuggling cases, and random ones like them, at the door and at nginx: both must read the same requests."""

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from run.door.smuggling import AFTER, CASES, LAST, Outcome
from support.door import FrontDoor
from support.oracle import NGINX, Witness, nginx_before, statuses_of
from support.wire import Backend, connect, read_all

# Where nginx differs from what the door passes on: what reaches the app there, and why the door is right.
NGINX_DIFFERS: dict[str, tuple[Outcome, str]] = {
    "length: CL in HTTP/1.0": ((b"POST / abc", LAST), "the door ends connections of HTTP/1.0; the request is the same"),
    "length: CL in HTTP/1.0 without Host": (
        (b"! Missing mandatory Host: header",),
        "nginx makes HTTP/1.1 of it and has no Host to give; the door passes HTTP/1.0 on as it is",
    ),
    "line: a method in small letters": ((), "a method is any token, and case matters: the app decides (RFC 9110, 9.1)"),
    "line: ten thousand fields": ((), "the door's limit is the head's 64 KiB, whatever it is made of"),
    "host: OPTIONS *": ((), "the one target without a path that RFC 9112, 3.2.4 gives to every server"),
}


@dataclass(frozen=True, slots=True)
class Gate:
    """A door, or nginx, with a witness behind."""

    address: tuple[str, int]
    witness: Witness

    def ask(self, sent: bytes) -> tuple[list[int], tuple[bytes, ...]]:
        """(the answers' statuses, the requests that reached the app) for these bytes, after which no more are sent."""
        self.witness.seen.clear()
        with connect(self.address) as client:
            with contextlib.suppress(OSError):
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
            answers, seen = _read(client), tuple(self.witness.seen)
        return statuses_of(answers, [request.split()[0] for request in seen]), seen


def _read(client: socket.socket) -> bytes:
    try:
        return read_all(client)
    except ConnectionResetError:  # nginx, which has not read everything
        return b""


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    witness = Witness()
    app, door = Backend(witness), FrontDoor(tmp_path_factory.mktemp("door") / "home")
    try:
        door.route(app.port)
        yield Gate(door.address, witness)
        assert (door.is_alive, door.log) == (True, "")
    finally:
        door.close()
        app.close()


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    if NGINX is None:
        pytest.skip("nginx is missing: scripts/toolchains installs it, as root")
    witness = Witness()
    app = Backend(witness)
    try:
        with nginx_before(app, tmp_path_factory.mktemp("nginx")) as address:
            yield Gate(address, witness)
    finally:
        app.close()


@pytest.mark.parametrize("name", CASES)
def test_a_published_case_reaches_the_app_in_one_reading_or_not_at_all(ours: Gate, name: str) -> None:
    sent, outcome = CASES[name]
    statuses, seen = ours.ask(sent + AFTER)
    if isinstance(outcome, int):
        assert (statuses, seen) == ([outcome], ())
    else:
        assert seen == outcome
        assert statuses in ([200] * len(seen), [200] * len(seen) + [400])


PASSED_ON = {name: case for name, case in CASES.items() if not isinstance(case[1], int)}


@pytest.mark.parametrize("name", PASSED_ON)
def test_nginx_reads_what_the_door_passes_on_in_the_same_way(theirs: Gate, name: str) -> None:
    sent, outcome = CASES[name]
    _, seen = theirs.ask(sent + AFTER)
    assert seen == (NGINX_DIFFERS[name][0] if name in NGINX_DIFFERS else outcome)


_SPACES = st.sampled_from([b"", b" ", b"  ", b"\t", b"\x0b", b"\r\n ", b"\0", b"\xa0", b"\r", b"\n"])
_ENDS = st.sampled_from((b"\r\n",) * 12 + (b"\n", b"\r", b"\r\r\n", b"\n\r", b""))
_NAMES = st.sampled_from(
    b"Content-Length Transfer-Encoding transfer-encoding Host Connection Expect Upgrade X Content_Length Trailer TE"
    b" Content-Encoding X-Content-Length".split()
)
_VALUES = st.sampled_from(
    b"0 3 5 03 +3 3,3 0x3 chunked Chunked chunked,chunked identity xchunked a a:80 close keep-alive Upgrade websocket"
    b" 100-continue content-length trailers".split()
)
_FIELD = st.tuples(_NAMES, _SPACES, _VALUES, _SPACES, _ENDS)
_SANE_FIELD = st.tuples(_NAMES, _VALUES).map(lambda pair: (pair[0], b"", pair[1], b"", b"\r\n"))
_FIELDS = st.lists(_SANE_FIELD | _SANE_FIELD | _FIELD, max_size=4).map(
    lambda fields: b"".join(b"%b:%b%b%b%b" % (name, *rest) for name, *rest in fields)
)
# Capitals: left over, they become part of a method, and nginx takes no other letters there.
_CHUNK = st.tuples(
    st.sampled_from([b"3", b"3", b"0", b"03", b"4", b"3;a=b", b"3 ", b"0x3", b"-1", b"+3", b";"]),
    _ENDS,
    st.sampled_from([b"ABC", b"ABC", b"ABCd", b"", b"AB"]),
    _ENDS,
).map(b"".join)
_BODIES = (
    st.sampled_from([b"", b"ABC", b"3\r\nABC\r\n0\r\n\r\n", b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"\r\n"])
    | st.lists(_CHUNK, max_size=3).map(b"".join)
    | st.lists(_CHUNK, max_size=2).map(lambda chunks: b"".join(chunks) + b"0\r\n\r\n")
)
_METHODS = st.sampled_from((b"GET", b"POST", b"POST", b"PUT", b"HEAD", b"OPTIONS"))
_TARGETS = st.sampled_from((b"/",) * 6 + (b"/a?b", b"http://a/", b"http://b/c", b"//a", b"a", b"/ /"))
_VERSIONS = st.sampled_from((b"HTTP/1.1",) * 12 + (b"HTTP/1.0", b"HTTP/0.9", b"HTTP/1.2", b"http/1.1"))
_HOST = st.sampled_from(
    (b"Host: a\r\n",) * 8 + (b"", b"Host: a\r\nHost: b\r\n", b"Host : a\r\n", b" Host: a\r\n", b"Host:\ta\r\n")
)
_MESSAGES = st.lists(
    st.builds(
        lambda method, target, version, end, host, fields, body: (
            b"%b %b %b%b" % (method, target, version, end) + host + fields + b"\r\n" + body
        ),
        *(_METHODS, _TARGETS, _VERSIONS, _ENDS, _HOST, _FIELDS, _BODIES),
    ),
    min_size=1,
    max_size=3,
).map(b"".join)


@given(sent=_MESSAGES)
@settings(deadline=None, max_examples=300, database=None, derandomize=True)
def test_nginx_never_reads_another_request_where_the_door_reads_one(ours: Gate, theirs: Gate, sent: bytes) -> None:
    """The door may read less, when it refuses what follows or ends the connection; never anything else."""
    statuses, seen = ours.ask(sent + AFTER)
    assert statuses[: len(seen)] == [200] * len(seen)
    assert seen == theirs.ask(sent + AFTER)[1][: len(seen)]
