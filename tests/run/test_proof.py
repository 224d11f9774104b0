"""After a switch Trivet proves that the new release is what answers, and that nothing of another is left."""

import http.server
import os
import threading

from run.shop import PATIENCE_S, WEB, Shop, wait_until
from trivet.host import processes
from trivet.model.run import Proof, Serving

FORKS = f"import os\nif os.fork():\n    os.wait()\n    raise SystemExit(1)\n{WEB}"
DAEMON = """
import os, time
storage = os.environ["TRIVET_STORAGE"]
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(storage + "/daemon", "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
"""
SILENT = """
import os, time
open(os.environ["TRIVET_STORAGE"] + "/port", "w").write(os.environ["PORT"])
time.sleep(600)
"""


def test_a_roll_out_says_who_holds_the_socket_and_that_nothing_of_the_old_is_left(shop: Shop) -> None:
    shop.shop(1), shop.shop(2)
    shop.ok(1)
    old = shop.pids()["v1.web.1"]
    roll_out = shop.ok(2)
    (status,) = shop.processes("web.1")
    assert status.pid is not None
    assert status.port is not None
    assert roll_out.proof == Proof((Serving("web.1", status.pid, status.port),), left=())
    assert processes.start_time(old or 0) is None
    assert shop.machine.ended(shop.deploy, 2) == roll_out


def test_a_server_that_forks_is_told_by_the_process_that_listens(shop: Shop) -> None:
    shop.web(1, FORKS)
    proof = shop.ok(1).proof
    assert proof is not None
    (serving,) = proof.serving
    assert serving.pid in processes.session_members(shop.pids()["v1.web.1"] or 0)
    assert shop.fetch() == f"v1 {serving.pid}"


def test_a_daemon_of_the_old_release_is_gone_when_the_roll_out_has_ended(shop: Shop) -> None:
    shop.web(1, DAEMON + WEB)
    shop.web(2, WEB)
    shop.ok(1)
    file = shop.home.storage(shop.deploy) / "daemon"
    wait_until(lambda: file.exists() and file.read_text())
    daemon = int(file.read_text())
    assert processes.start_time(daemon) is not None
    proof = shop.ok(2).proof
    assert proof is not None
    assert proof.left == ()
    assert processes.start_time(daemon) is None


def test_somebody_elses_process_on_the_port_is_named(shop: Shop) -> None:
    shop.web(1, SILENT, timeout_s=PATIENCE_S)
    file = shop.home.storage(shop.deploy) / "port"
    reasons: list[str] = []
    thread = threading.Thread(target=lambda: reasons.append(shop.roll_out(1).reason))
    thread.start()
    wait_until(lambda: file.exists() and file.read_text())
    port = int(file.read_text())
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), http.server.SimpleHTTPRequestHandler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        thread.join(PATIENCE_S)
        server.shutdown()
        serving.join()
    command = processes.command_line(os.getpid())
    assert reasons == [f"web.1 was given port {port} ($PORT), but process {os.getpid()} ({command}) listens there"]
