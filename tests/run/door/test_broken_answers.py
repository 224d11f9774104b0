"""Whatever an app answers, a client is never shown a wrong frame: h11 reads what comes, and the next answer is its own."""

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.door import FrontDoor
from support.wire import DEADLINE_S, OK, Backend, connect, read_answer, read_until

SCRIPT = Path(__file__).parents[3] / "scripts" / "fuzz-door"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"


class Liar:
    """An app that answers /good well, and everything else with what it was told; then it closes, if it was told to."""

    def __init__(self) -> None:
        self.answer = b""
        self.closes = True

    def __call__(self, connection: socket.socket) -> None:
        while head := read_until(connection, b"\r\n\r\n"):
            is_good = head.startswith(b"GET /good ")
            connection.sendall(GOOD if is_good else self.answer)
            if self.closes and not is_good:
                return


@pytest.fixture(scope="module")
def liar() -> Liar:
    return Liar()


@pytest.fixture(scope="module")
def address(liar: Liar, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    app, door = Backend(liar), FrontDoor(tmp_path_factory.mktemp("door") / "home")
    try:
        door.route(app.port)
        yield door.address
        assert (door.is_alive, door.log) == (True, "")
    finally:
        door.close()
        app.close()


class Reader:
    """A client whose HTTP is h11's."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._connection = connect(address)
        self._reader = h11.Connection(h11.CLIENT)

    def get(self, path: str) -> tuple[int, bytes] | None:
        """(status, body); None: the connection ended before the answer was whole. Raises: h11.ProtocolError."""
        reader, status, body = self._reader, 0, b""
        sent = reader.send(h11.Request(method="GET", target=path, headers=[("Host", "shop")])) or b""
        self._connection.sendall(sent + (reader.send(h11.EndOfMessage()) or b""))
        while not isinstance(event := self._next(), h11.EndOfMessage | h11.ConnectionClosed | None):
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
        return (status, body) if isinstance(event, h11.EndOfMessage) else None

    def goes_on(self) -> bool:
        """Whether there may be another request; then the connection is ready for it."""
        if self._reader.our_state is not h11.DONE or self._reader.their_state is not h11.DONE:
            return False
        self._reader.start_next_cycle()
        return True

    def close(self) -> None:
        self._connection.close()

    def _next(self) -> object:
        while (event := self._reader.next_event()) is h11.NEED_DATA:
            try:
                data = self._connection.recv(65536)
            except ConnectionResetError:
                return None
            self._reader.receive_data(data)
            if not data:
                return self._at_the_end()
        return event

    def _at_the_end(self) -> object:
        """The answer may end with the connection; if not, it is cut off, and can be seen to be."""
        try:
            return self._reader.next_event()
        except h11.RemoteProtocolError:
            return None


_LINES = st.sampled_from(
    (b"HTTP/1.1 200 OK",) * 8 + (b"HTTP/1.0 200 OK", b"HTTP/1.1 204 No", b"HTTP/1.1 304 No", b"HTTP/1.1 101 No")
)
_FIELDS = st.lists(
    st.sampled_from(
        b"Content-Length: 4|Content-Length: 3|Content-Length: 0|Content-Length: x|Content-Length : 4|Transfer-Encoding: chunked"
        b"|Transfer-Encoding: x|Transfer-Encoding:\tchunked|Connection: close|Connection: keep-alive|Connection: content-length"
        b"| folded|X: y|X: \0|X\ny: z".split(b"|")
    ),
    max_size=3,
)
_PIECES = (b"4\r\nabcd\r\n", b"3\r\nabcd\r\n", b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"abcd", b"abc", EVIL, b"4\nabcd\n")
_BODIES = st.lists(st.sampled_from(_PIECES), max_size=3).map(b"".join)
_ENDS = st.sampled_from((b"\r\n",) * 8 + (b"\n", b"", b"\r"))
_ANSWERS = st.builds(
    lambda line, fields, end, body: b"\r\n".join([line, *fields, b""]) + end + body, *(_LINES, _FIELDS, _ENDS, _BODIES)
)


@given(answer=_ANSWERS, closes=st.just(True) | st.booleans())
@settings(deadline=None, max_examples=300, database=None, derandomize=True)
def test_after_any_answer_the_next_one_is_its_own(
    liar: Liar, address: tuple[str, int], answer: bytes, closes: bool
) -> None:
    liar.answer = answer
    client = Reader(address)
    try:
        client.get("/bad")
        if client.goes_on():
            assert client.get("/good") in ((200, b"good"), None)
    finally:
        client.close()
    other = Reader(address)
    try:
        assert other.get("/good") == (200, b"good")
    finally:
        other.close()


@pytest.mark.parametrize("at_once", [True, False], ids=["with the answer", "later"])
def test_an_answer_that_nobody_asked_for_reaches_nobody(
    door: FrontDoor, serve: Callable[..., Backend], at_once: bool
) -> None:
    """What an app that ignores a body answers to it (CL.0) is not given to whoever asks next."""
    answered, poisoned, closed = threading.Event(), threading.Event(), threading.Event()

    def handle(connection: socket.socket) -> None:
        if read_until(connection, b"\r\n\r\n").startswith(b"GET /good "):
            connection.sendall(GOOD)
            return
        connection.sendall(OK + EVIL if at_once else OK)
        if not at_once:
            assert answered.wait(DEADLINE_S)
            connection.sendall(EVIL)
        poisoned.set()
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(65536):
                pass
        closed.set()

    door.route(serve(handle).port)
    with connect(door.address) as client, connect(door.address) as other:
        client.sendall(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\n\r\nabc")
        assert read_answer(client)[1] == b"ok"
        answered.set()
        assert poisoned.wait(DEADLINE_S)
        assert closed.wait(DEADLINE_S), "the connection is kept"
        for each in (client, other):
            each.sendall(b"GET /good HTTP/1.1\r\nHost: shop\r\n\r\n")
            assert read_answer(each)[1] == b"good"


@pytest.mark.parametrize(
    ("method", "head"),
    [
        (b"HEAD", b"200 OK\r\n"),
        (b"HEAD", b"200 OK\r\nContent-Length: %d\r\n" % len(EVIL)),
        (b"HEAD", b"304 Not Modified\r\n"),
        (b"PUT", b"204 No Content\r\nContent-Length: %d\r\n" % len(EVIL)),
        (b"GET", b"304 Not Modified\r\nContent-Length: %d\r\n" % len(EVIL)),
        (b"GET", b"304 Not Modified\r\nTransfer-Encoding: chunked\r\n"),
    ],
)
def test_a_body_that_comes_where_none_may_be_is_no_answer_to_the_next(
    door: FrontDoor, serve: Callable[..., Backend], method: bytes, head: bytes
) -> None:
    """As Django sends it on gunicorn 23 to HEAD, in a packet of its own: what comes late, nobody may get."""

    def handle(connection: socket.socket) -> None:
        if read_until(connection, b"\r\n\r\n").startswith(b"GET /good "):
            connection.sendall(GOOD)
            return
        connection.sendall(b"HTTP/1.1 " + head + b"\r\n")
        if connection.recv(65536):  # the next request is here already
            connection.sendall(EVIL)

    door.route(serve(handle).port)
    with connect(door.address) as client, connect(door.address) as other:
        client.sendall(method + b" / HTTP/1.1\r\nHost: shop\r\n\r\n")
        read_until(client, b"\r\n\r\n")
        for each in (other, client):
            each.sendall(b"GET /good HTTP/1.1\r\nHost: shop\r\n\r\n")
            assert read_answer(each)[1] == b"good"


@pytest.mark.parametrize("target", ["request", "answer"])
def test_the_fuzzer_finds_nothing_in_so_many_runs(target: str, tmp_path: Path) -> None:
    argv = (sys.executable, str(SCRIPT), target, "-runs=10000", "-seed=5", "-max_len=400")
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 10000 runs" in done.stderr
