"""A deploy whose web process inherits the listening socket: who gets connections, and what each kind of end loses."""

import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from run.shop import DEADLINE_S, PATIENCE_S, PYTHON, WEB, Shop, free_port, kill, wait_until
from support.command import Trivet
from support.installation import install
from trivet.errors import PortTaken
from trivet.model.process import ProcessType
from trivet.model.run import Address, Proof, Serving
from trivet.run.door import link

HEIR = """
import http.server, os, signal, socket, socketserver, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = f"{os.environ['TRIVET_RELEASE']} {os.getpid()} {self.client_address[0]}".encode()
        if self.path == "/environment":
            body = "\\n".join(f"{k}={v}" for k, v in sorted(os.environ.items())).encode()
        self.send_response(int(os.environ.get("STATUS", "200")))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        print(self.path, flush=True)
    def log_message(self, *arguments):
        pass
class Server(http.server.ThreadingHTTPServer):
    def __init__(self):
        socketserver.BaseServer.__init__(self, ("", 0), Handler)
        self.socket = socket.socket(fileno=3)
assert int(os.environ["LISTEN_PID"]) == os.getpid()
server = Server()
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever(poll_interval=0.02)
"""

CLIENTS = 2
BRIEF_S = 4.0  # what is tried in it takes a tenth of a second of a processor; on a loaded machine that may be seconds


def inherit(shop: Shop, number: int, code: str = HEIR, command: str = f"{PYTHON} w.py", **config: str) -> int:
    """A release whose only process is `web`, with the listening socket inherited."""
    kind = ProcessType("web", command, timeout_s=PATIENCE_S, grace_s=PATIENCE_S, inherits=True)
    return shop.release(number, {"w.py": code}, (kind,), config=config)


@dataclass
class Load:
    """A client that opens a connection for each request, one after the other; a refused or broken one is a failure."""

    port: int
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stopping.wait(0.002):
            try:
                self.answers[ask(self.port).split()[0]] += 1
            except OSError as error:
                self.failures.append(repr(error))


def ask(port: int, host: str = "127.0.0.1") -> str:
    """The body of what a new connection is answered. Raises: OSError, for anything that is no whole answer of 200."""
    with socket.create_connection((host, port), timeout=DEADLINE_S) as caller:
        caller.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
        answer = b""
        while data := caller.recv(65536):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 ") or not body:
        raise OSError(answer)
    return body.decode()


@contextmanager
def asking(port: int) -> Iterator[Load]:
    """Some such clients ask all the while."""
    load = Load(port)
    threads = [threading.Thread(target=load.run) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stopping.set()
        for thread in threads:
            thread.join(DEADLINE_S)


@contextmanager
def under_load(port: int) -> Iterator[Load]:
    """The same; afterwards none of them has seen a failure."""
    with asking(port) as load:
        yield load
    assert load.failures == []


def until_answered(load: Load, release: str, times: int = 10) -> None:
    """The release has given that many answers more."""
    before = load.answers[release]
    wait_until(lambda: load.answers[release] >= before + times)


def test_the_process_has_the_socket_and_answers_clients_itself(shop: Shop) -> None:
    port = free_port()
    inherit(shop, 1)
    roll_out = shop.ok(1, port)
    release, pid, peer = shop.fetch().split()
    assert roll_out.proof == Proof((Serving("web.1", int(pid), port),))
    assert [each.port for each in shop.processes()] == [port]
    assert (release, int(pid), peer) == ("v1", shop.pids()["v1.web.1"], "127.0.0.1")
    told = dict(line.split("=", 1) for line in shop.fetch("/environment").splitlines())
    assert {name: told[name] for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "PORT")} == {
        "LISTEN_FDS": "1",
        "LISTEN_PID": pid,
        "LISTEN_FDNAMES": "web",
        "PORT": str(port),
    }
    door = link.connect(shop.home)
    assert door.ask({"do": "status"}).data["requests"] == 0
    door.close()


def test_no_connection_is_lost_over_roll_outs_restarts_and_scaling(shop: Shop) -> None:
    port = free_port()
    inherit(shop, 1)
    shop.ok(1, port)
    with under_load(port) as load:
        for number in (2, 3):
            inherit(shop, number)
            shop.ok(number)
            until_answered(load, f"v{number}")
        shop.machine.scale(shop.deploy, {"web": 3})
        shop.machine.restart(shop.deploy, None)
        shop.machine.restart(shop.deploy, "web.2")
        until_answered(load, "v3")
        shop.machine.scale(shop.deploy, {"web": 1})
        inherit(shop, 4)
        shop.ok(4)
        until_answered(load, "v4")
    assert set(load.answers) == {"v1", "v2", "v3", "v4"}


def test_all_processes_of_a_type_get_connections(shop: Shop) -> None:
    port = free_port()
    inherit(shop, 1)
    shop.ok(1, port)
    shop.machine.scale(shop.deploy, {"web": 3})
    seen = {ask(port).split()[1] for _ in range(60)}
    assert seen == {str(pid) for pid in shop.pids().values()}


def test_a_bad_release_is_asked_by_the_supervisor_and_shown_to_nobody(shop: Shop) -> None:
    port = free_port()
    inherit(shop, 1)
    shop.ok(1, port)
    kind = ProcessType("web", f"{PYTHON} w.py", timeout_s=BRIEF_S, grace_s=PATIENCE_S, inherits=True)
    shop.release(2, {"w.py": HEIR}, (kind,), config={"STATUS": "500"})
    with under_load(port) as load:
        until_answered(load, "v1")
        roll_out = shop.roll_out(2)
        until_answered(load, "v1")
    assert not roll_out.succeeded
    assert roll_out.reason == "web.1 did not become ready within 4 s: GET / answered 500"
    assert shop.log("v2.web.1").count("/") > 2
    assert set(load.answers) == {"v1"}


def test_a_process_that_does_not_use_the_socket_is_told_how(shop: Shop) -> None:
    command = f"true && {PYTHON.removeprefix('exec ')} w.py"
    kind = ProcessType("web", command, timeout_s=BRIEF_S, grace_s=PATIENCE_S, inherits=True)
    shop.release(1, {"w.py": "import time; time.sleep(60)"}, (kind,))
    roll_out = shop.roll_out(1, free_port())
    assert roll_out.reason == (
        "web.1 did not answer within 4 s on the socket that it inherited (descriptor 3, LISTEN_FDS=1); its command keeps a "
        "shell, so that LISTEN_PID is not its own: begin it with exec"
    )


def test_a_crash_costs_what_was_accepted_and_refuses_nobody(shop: Shop) -> None:
    port = free_port()
    inherit(shop, 1)
    shop.ok(1, port)
    with asking(port) as load:
        for _ in range(3):
            until_answered(load, "v1")
            pid = shop.pids()["v1.web.1"]
            kill(pid or 0)
            wait_until(lambda pid=pid: shop.pids()["v1.web.1"] not in (pid, None))  # type: ignore[misc]
        until_answered(load, "v1")
    assert not [failure for failure in load.failures if "Refused" in failure]
    assert len(load.failures) <= 3 * CLIENTS


@pytest.mark.parametrize("phase", ["serving", "while a release is checked"])
def test_a_supervisor_that_is_killed_loses_no_connection(shop: Shop, phase: str) -> None:
    port = free_port()
    inherit(shop, 1)
    shop.ok(1, port)
    shop.machine.scale(shop.deploy, {"web": 2})
    before = shop.pids()
    with under_load(port) as load:
        if phase != "serving":
            kind = ProcessType("web", f"{PYTHON} w.py", timeout_s=PATIENCE_S, grace_s=PATIENCE_S, inherits=True)
            shop.release(2, {"w.py": HEIR}, (kind,), config={"STATUS": "500"})
            shop.begin(2)
            wait_until(lambda: "/" in shop.log("v2.web.1"))
        shop.kill_supervisor()
        until_answered(load, "v1")
        shop.machine.up()
        wait_until(lambda: shop.pids() == before)
        until_answered(load, "v1")
        inherit(shop, 3)
        shop.ok(3)
        until_answered(load, "v3")
    assert set(load.answers) == {"v1", "v3"}


def test_a_process_that_has_lost_its_status_file_keeps_its_socket(shop: Shop) -> None:
    inherit(shop, 1)
    shop.ok(1, free_port())
    before = shop.pids()
    shop.kill_supervisor()
    (shop.home.run(shop.deploy) / "status" / "v1.web.1.json").unlink()
    shop.machine.up()
    assert shop.pids() == before
    assert shop.fetch().split()[1] == str(before["v1.web.1"])
    inherit(shop, 2)
    shop.ok(2)
    assert shop.fetch().startswith("v2 ")


def test_what_runs_when_supervisor_and_door_were_killed_is_replaced(shop: Shop) -> None:
    inherit(shop, 1)
    shop.ok(1, free_port())
    before = shop.pids()["v1.web.1"]
    door = link.connect(shop.home)
    pid = int(door.ask({"do": "status"}).data["pid"])
    door.close()
    shop.kill_supervisor()
    kill(pid)  # nobody but the process has the socket now
    shop.machine.up()
    wait_until(lambda: shop.pids().get("v1.web.1+1", shop.pids().get("v1.web.1")) not in (before, None))
    wait_until(lambda: _answers(shop))


def _answers(shop: Shop) -> bool:
    try:
        return shop.fetch().startswith("v1 ")
    except OSError:
        return False


def test_another_version_takes_over_and_refuses_nobody(shop: Shop, tmp_path: Path) -> None:
    port = free_port()
    inherit(shop, 1)
    shop.ok(1, port)
    before = shop.pids()
    trivet = Trivet(shop.home.root, tmp_path, {"PYTHONPATH": str(install(tmp_path / "trivet", "0.2.0"))})
    with under_load(port) as load:
        assert "took over from" in trivet.ok("up").out
        until_answered(load, "v1")
        assert shop.pids() == before
        inherit(shop, 2)
        shop.ok(2)
        until_answered(load, "v2")
    assert set(load.answers) == {"v1", "v2"}


def test_connections_wait_while_neither_supervisor_nor_app_runs(shop: Shop) -> None:
    port = free_port()
    inherit(shop, 1)
    shop.ok(1, port)
    pid = shop.pids()["v1.web.1"]
    shop.kill_supervisor()
    kill(pid or 0)
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as caller:
        caller.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
        shop.machine.up()
        assert caller.recv(15) == b"HTTP/1.1 200 OK"


def test_a_door_that_is_killed_loses_nothing(shop: Shop) -> None:
    port = free_port()
    inherit(shop, 1)
    shop.ok(1, port)
    door = link.connect(shop.home)
    pid = int(door.ask({"do": "status"}).data["pid"])
    with under_load(port) as load:
        kill(pid)
        until_answered(load, "v1")
        inherit(shop, 2)
        shop.ok(2)
        until_answered(load, "v2")
        shop.kill_supervisor()
        shop.machine.up()
        until_answered(load, "v2")
    door.close()


def test_a_deploy_goes_from_relayed_to_inherited_and_back_and_loses_nothing(shop: Shop) -> None:
    port = free_port()
    shop.web(1, WEB)
    shop.ok(1, port)
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as kept, under_load(port) as load:
        assert _ask_again(kept).startswith("v1 ")
        inherit(shop, 2)
        shop.ok(2)
        until_answered(load, "v2")
        assert _ask_again(kept).startswith("v2 ")  # through the front door still, and from there by the address
        inherit(shop, 3)
        shop.ok(3)
        assert _ask_again(kept).startswith("v3 ")
        shop.web(4, WEB)
        shop.ok(4)
        until_answered(load, "v4")
        assert _ask_again(kept).startswith("v4 ")


def _ask_again(connection: socket.socket) -> str:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return body.decode()


def test_a_stopped_deploy_says_so_and_starts_again(shop: Shop) -> None:
    port = free_port()
    inherit(shop, 1)
    shop.ok(1, port)
    shop.machine.stop(shop.deploy)
    assert shop.get()[0] == 503
    shop.machine.start(shop.deploy)
    assert shop.fetch().startswith("v1 ")


def test_another_address_is_served_and_the_old_one_is_not(shop: Shop) -> None:
    first, second = free_port(), free_port()
    inherit(shop, 1)
    shop.ok(1, first)
    inherit(shop, 2)
    shop.ok(2, second)
    assert ask(second).startswith("v2 ")
    wait_until(lambda: set(shop.pids()) == {"v2.web.1"})
    with pytest.raises(ConnectionRefusedError):
        ask(first)


def test_somebody_else_who_listens_there_too_is_named_and_given_nothing(shop: Shop) -> None:
    port = free_port()
    inherit(shop, 1)
    shop.ok(1, port)
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        assert all(ask(port).startswith("v1 ") for _ in range(20))
        inherit(shop, 2)
        with pytest.raises(PortTaken, match=rf"Process {os.getpid()} \(.*\) listens on port {port} as well\."):
            shop.roll_out(2)
    assert ask(port).startswith("v1 ")


def test_one_that_must_not_run_twice_keeps_its_callers_waiting_meanwhile(shop: Shop) -> None:
    port = free_port()
    kind = ProcessType("web", f"{PYTHON} w.py", timeout_s=PATIENCE_S, grace_s=PATIENCE_S, inherits=True, overlaps=False)
    shop.release(1, {"w.py": HEIR}, (kind,))
    shop.ok(1, port)
    with asking(port) as load:
        shop.release(2, {"w.py": HEIR}, (kind,))
        shop.ok(2)
        until_answered(load, "v2")
        shop.release(3, {"w.py": "raise SystemExit(3)"}, (kind,))
        assert not shop.roll_out(3).succeeded
        until_answered(load, "v2")
    assert not [failure for failure in load.failures if "Refused" in failure]
    assert len(load.failures) <= 2 * CLIENTS  # what the old one had accepted and did not finish


@pytest.mark.parametrize("host", ["0.0.0.0", "::1", "::"])
def test_every_kind_of_address_is_handed_on(shop: Shop, host: str) -> None:
    port = free_port()
    near = "127.0.0.1" if host == "0.0.0.0" else "::1"
    inherit(shop, 1)
    address = Address(host, port)
    assert shop.machine.roll_out(shop.deploy, 1, address=address, report=lambda *_: None).succeeded
    kind = ProcessType("web", f"{PYTHON} w.py", timeout_s=0.5, grace_s=PATIENCE_S, inherits=True)
    shop.release(2, {"w.py": HEIR}, (kind,), config={"STATUS": "500"})
    assert not shop.roll_out(2).succeeded
    inherit(shop, 3)
    shop.ok(3)
    assert ask(port, near).startswith("v3 ")
    shop.machine.stop(shop.deploy)
    with pytest.raises(OSError, match="503"):
        ask(port, near)
