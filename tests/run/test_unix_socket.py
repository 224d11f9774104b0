"""A `web` process that listens on its Unix socket instead of its port is reached there, whatever ends and starts again."""

import os
from pathlib import Path

import pytest

from run.shop import PATIENCE_S, WEB, Shop, free_port, kill, wait_until
from run.test_upgrade import Load
from support.servers import SERVERS, Server
from support.toolchains import needs
from trivet.host import processes
from trivet.model.process import ProcessType
from trivet.model.run import Proof, Serving
from trivet.run import users
from trivet.run.door import link

ON_SOCKET = """
import http.server, os, signal, socket, socketserver, threading
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = os.environ["TRIVET_RELEASE"].encode() + b" " + str(os.getpid()).encode() + b" " + body
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *arguments):
        pass
class Server(http.server.ThreadingHTTPServer):
    address_family, request_queue_size = socket.AF_UNIX, 128
    server_bind = socketserver.TCPServer.server_bind
server = Server(os.environ["TRIVET_SOCKET"], Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever(poll_interval=0.02)
"""


def pid_of(shop: Shop, name: str = "v1.web.1") -> int:
    pid = shop.pids()[name]
    assert pid is not None
    return pid


def listens_at(shop: Shop) -> list[str]:
    """The Unix sockets that the front door leads to."""
    door = link.connect(shop.home)
    backends = door.ask({"do": "status"}).data["deploys"][str(shop.deploy)]["backends"]
    door.close()
    return [backend.get("socket", "") for backend in backends if not backend["leaving"]]


def test_a_roll_out_says_that_the_unix_socket_is_held_by_the_new_release(shop: Shop) -> None:
    shop.web(1, ON_SOCKET)
    proof = shop.ok(1).proof
    (status,) = shop.processes("web.1")
    assert status.pid is not None
    assert status.port is not None
    assert proof == Proof((Serving("web.1", status.pid, status.port, by_socket=True),), left=())
    assert processes.listening_ports((status.pid,)) == ()
    assert shop.fetch() == f"v1 {status.pid} "
    owner = users.user_of(shop.home, shop.deploy.app).number if users.are_kept_apart() else os.geteuid()
    assert Path(listens_at(shop)[0]).stat().st_uid == owner


def test_releases_follow_each_other_from_socket_to_socket_to_port_without_a_failed_request(shop: Shop) -> None:
    shop.web(1, ON_SOCKET), shop.web(2, ON_SOCKET), shop.web(3, WEB), shop.web(4, ON_SOCKET)
    port = free_port()
    shop.ok(1, port)
    with Load(port, gets_only=True) as load:
        for number in (2, 3, 4):
            load.wait_for(50)
            shop.ok(number)
        load.wait_for(50)
    assert load.failures == []
    assert {answer.split()[0] for answer in load.answers} == {"v1", "v2", "v3", "v4"}


def test_after_a_crash_it_is_reached_at_the_new_socket(shop: Shop) -> None:
    shop.web(1, ON_SOCKET)
    shop.ok(1)
    before = listens_at(shop)
    kill(pid_of(shop))
    assert shop.fetch().startswith("v1 ")
    assert listens_at(shop) != before
    assert shop.processes()[0].restarts == 1


def test_a_supervisor_that_starts_anew_and_a_new_front_door_find_the_way(shop: Shop) -> None:
    shop.web(1, ON_SOCKET)
    shop.ok(1)
    pid, sockets = pid_of(shop), listens_at(shop)
    shop.kill_supervisor()
    shop.machine.up()
    assert shop.fetch() == f"v1 {pid} "
    door = link.connect(shop.home)
    kill(door.ask({"do": "status"}).data["pid"])
    door.close()
    wait_until(lambda: shop.fetch() == f"v1 {pid} ")
    assert listens_at(shop) == sockets


def test_one_that_crashed_while_there_was_no_supervisor_is_started_and_found(shop: Shop) -> None:
    shop.web(1, ON_SOCKET)
    shop.ok(1)
    pid = pid_of(shop)
    shop.kill_supervisor()
    kill(pid)
    shop.machine.up()
    assert shop.fetch().startswith("v1 ")
    assert pid_of(shop) != pid


def test_one_that_has_lost_its_status_file_is_found_on_its_socket(shop: Shop) -> None:
    shop.web(1, ON_SOCKET)
    shop.ok(1)
    pid = pid_of(shop)
    shop.kill_supervisor()
    (shop.home.run(shop.deploy) / "status" / "v1.web.1.json").unlink()
    shop.machine.up()
    assert shop.fetch() == f"v1 {pid} "


def test_a_stopped_deploy_that_is_started_again_is_reached_on_its_socket(shop: Shop) -> None:
    shop.web(1, ON_SOCKET)
    shop.ok(1)
    shop.machine.stop(shop.deploy)
    shop.machine.start(shop.deploy)
    assert shop.fetch().startswith("v1 ")


def test_a_link_to_somebody_elses_socket_is_not_followed(shop: Shop) -> None:
    shop.web(1, WEB)
    shop.ok(1)
    aside = ON_SOCKET.replace('Server(os.environ["TRIVET_SOCKET"]', 'Server("real.sock"')
    aside = aside.replace(
        "signal.signal(", 'os.symlink(storage + "/real.sock", os.environ["TRIVET_SOCKET"])\nsignal.signal('
    )
    linked = "import os\nstorage = os.environ['TRIVET_STORAGE']\nos.chdir(storage)\n" + aside
    shop.web(2, linked, timeout_s=1.0)
    ended = shop.roll_out(2)
    assert ended.reason.endswith("it listens on no port")
    assert shop.fetch().startswith("v1 ")


def test_one_that_listens_on_its_socket_and_never_answers_is_told_so(shop: Shop) -> None:
    silent = "import os, socket\ns = socket.socket(socket.AF_UNIX)\ns.bind(os.environ['TRIVET_SOCKET'])\ns.listen()\n"
    shop.web(1, silent + "while True: kept = s.accept()\n", timeout_s=3.0)
    ended = shop.roll_out(1)
    assert ended.reason == "web.1 listened on its Unix socket ($TRIVET_SOCKET) but did not answer within 3 s"


NODE = SERVERS["node"].files["app.js"].replace("process.env.LISTEN_FDS", "process.env.TRIVET_SOCKET")
TAKING = {
    "gunicorn sync": (SERVERS["gunicorn sync"], ("--bind 127.0.0.1:$PORT", "--bind unix:$TRIVET_SOCKET")),
    "gunicorn gthread": (SERVERS["gunicorn gthread"], ("--bind 127.0.0.1:$PORT", "--bind unix:$TRIVET_SOCKET")),
    "uvicorn": (SERVERS["uvicorn"], ("--fd 3", "--uds $TRIVET_SOCKET")),
    "puma": (SERVERS["puma"], ("--bind tcp://127.0.0.1:$PORT", "--bind unix://$TRIVET_SOCKET")),
    "node": (
        Server(
            "node app.js",
            {"app.js": NODE.replace("{ fd: 3 }", "process.env.TRIVET_SOCKET")},
            ("node",),
        ),
        ("", ""),
    ),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(*TAKING[name][0].needs)) for name in TAKING])
def test_a_server_takes_its_socket_and_is_followed_without_a_failed_request(shop: Shop, name: str) -> None:
    server, (port_option, socket_option) = TAKING[name]
    command = server.command.replace(port_option, socket_option) if port_option else server.command
    kind = ProcessType("web", command, timeout_s=PATIENCE_S, grace_s=PATIENCE_S)
    shop.release(1, server.files, (kind,)), shop.release(2, server.files, (kind,))
    port = free_port()
    shop.ok(1, port)
    with Load(port) as load:
        load.wait_for(20)
        shop.ok(2)
        load.wait_for(20)
    assert load.failures == []
    (socket,) = listens_at(shop)
    assert Path(socket).is_socket()
    assert processes.listening_ports((pid_of(shop, "v2.web.1"),)) == ()
