"""What a leaving process still works on: it may end by itself until the grace is over, then it is cut; both are counted."""

import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing

import pytest

from run.shop import PYTHON, Shop, wait_until
from support.wire import connect, read_all, read_answer, read_until
from trivet.model.event import EventKind
from trivet.model.process import ProcessType
from trivet.model.run import Address, Drain, RollOut
from trivet.run.events import read_events

# GET /slow is answered once `answer` is in $TRIVET_STORAGE, GET /endless never ends, GET /die ends the process with it.
APP = """
import http.server, os, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        print(self.path, flush=True)
        while self.path == "/slow" and not os.path.exists(os.environ["TRIVET_STORAGE"] + "/answer"):
            time.sleep(0.01)
        self.send_response(200)
        ends = self.path in ("/", "/slow")
        self.send_header(*(("Content-Length", "2") if ends else ("Transfer-Encoding", "chunked")))
        self.end_headers()
        self.wfile.write(b"ok" if ends else b"2\\r\\nok\\r\\n")
        while not ends:
            time.sleep(0.01)
            if self.path == "/die" and os.path.exists(os.environ["TRIVET_STORAGE"] + "/answer"):
                os._exit(3)
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
# The same for a server of WSGI; what never ends is a stream of events.
STREAMS = """
import os, time
STORAGE = os.environ["TRIVET_STORAGE"]
def wait():
    while not os.path.exists(STORAGE + "/answer"):
        time.sleep(0.01)
def events():
    while True:
        yield b"data: ok\\r\\n\\r\\n"
        time.sleep(0.01)
def app(environ, start):
    if environ["PATH_INFO"] == "/endless":
        start("200 OK", [("Content-Type", "text/event-stream")])
        return events()
    if environ["PATH_INFO"] == "/slow":
        print("/slow", flush=True)
        wait()
    start("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
GRACE_S = 4.0  # long enough for an answer of a machine that has much else to do
Ask = Callable[[str], socket.socket]


def _roll_out(shop: Shop, number: int, then: Callable[[], object] = lambda: None) -> RollOut:
    """`then` is done once it has shifted."""

    def report(event: str, facts: Mapping[str, object]) -> None:
        if event == "shifted":
            then()

    return shop.machine.roll_out(shop.deploy, number, address=None, report=report)


@pytest.fixture
def ask(shop: Shop) -> Iterator[Ask]:
    """Two releases of the app are there and the first runs; `ask(path)` gives the connection of a request that it works on."""
    for number in (1, 2):
        web = ProcessType("web", f"{PYTHON} w.py", timeout_s=60, grace_s=GRACE_S)
        shop.release(number, {"w.py": APP}, (web,))
    address = _roll_out(shop, 1).address
    connections: list[socket.socket] = []

    def begin(path: str) -> socket.socket:
        connection = _connect(address)
        connections.append(connection)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n".encode())
        if path != "/slow":
            read_until(connection, b"ok\r\n")
        wait_until(lambda: path in shop.log("v1.web.1").split())
        return connection

    yield begin
    for connection in connections:
        connection.close()


def _connect(address: Address | None) -> socket.socket:
    assert address is not None
    return connect((address.host, address.port))


def _allow_answers(shop: Shop) -> None:
    (shop.home.storage(shop.deploy) / "answer").touch()


def _drained(shop: Shop) -> list[str]:
    return [event.how for event in read_events(shop.home, shop.deploy) if event.kind is EventKind.DRAINED]


def test_what_ends_in_time_and_what_is_cut_is_counted(shop: Shop, ask: Ask) -> None:
    slow, first, second = ask("/slow"), ask("/endless"), ask("/endless")
    roll_out = _roll_out(shop, 2, then=lambda: _allow_answers(shop))
    assert roll_out.connections == Drain(drained=1, cut=2)
    assert read_answer(slow)[1] == b"ok"
    assert read_all(first) + read_all(second) == b""
    assert _drained(shop) == ["1 ended by itself, 2 were cut"]
    ended = shop.machine.ended(shop.deploy, 2)
    assert ended is not None
    assert ended.connections == Drain(drained=1, cut=2)


def test_what_ends_with_its_process_counts_as_cut(shop: Shop, ask: Ask) -> None:
    dying = ask("/die")
    roll_out = _roll_out(shop, 2, then=lambda: _allow_answers(shop))
    assert roll_out.connections == Drain(drained=0, cut=1)
    assert read_all(dying) == b""
    with closing(_connect(roll_out.address)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        assert read_answer(client)[1] == b"ok"


def test_a_roll_out_with_nothing_in_flight_counts_nothing_and_says_nothing(shop: Shop, ask: Ask) -> None:
    done = threading.Event()
    assert _roll_out(shop, 2, then=done.set).connections == Drain()
    assert done.is_set()
    assert _drained(shop) == []


def test_what_a_server_with_an_inherited_socket_has_accepted_is_counted(shop: Shop) -> None:
    """gunicorn would let its stream go on for longer than the grace is."""
    bound = "--bind 127.0.0.1:$PORT --graceful-timeout 60 --keep-alive 60"
    command = f"{sys.prefix}/servers/bin/gunicorn w:app --worker-class gthread --threads 8 {bound}"
    web = ProcessType("web", command, timeout_s=60, grace_s=GRACE_S, warm_s=0.0, inherits=True)
    for number in (1, 2):
        shop.release(number, {"w.py": STREAMS}, (web,))
    address = _roll_out(shop, 1).address
    with closing(_connect(address)) as slow, closing(_connect(address)) as endless:
        for connection, path in ((slow, "/slow"), (endless, "/endless")):
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n".encode())
        read_until(endless, b"data: ok\r\n")
        wait_until(lambda: "/slow" in shop.log("v1.web.1"))
        roll_out = _roll_out(shop, 2, then=lambda: _allow_answers(shop))
        assert read_answer(slow)[1] == b"ok"
    assert roll_out.connections == Drain(drained=1, cut=1)
    assert _drained(shop) == ["1 ended by itself, 1 was cut"]
    assert list(roll_out.timings_s or {}) == ["ready", "shifted", "drained", "stopped"]
