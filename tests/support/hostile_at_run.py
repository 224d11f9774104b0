"""Runs the hostile app beside another one, or free, and prints what came of its attempts. Its argument is an empty folder.

A program of its own for the machine's Python: whoever runs it may be unable to read the one that runs the tests.
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from run.shop import WEB, Shop, wait_until
from trivet.model.home import Home
from trivet.model.names import AppName, Deploy, DeployName
from trivet.model.process import ProcessType
from trivet.run import Machine
from trivet.run.door import link as door_link

CANARY = "canary-51f7"
_ADD_KEY = {"x86_64": 248, "aarch64": 217}
_KEYRINGS = {b"hostile-session": -3, b"hostile-user": -4}
_OTHER = r"""
import ctypes, json, os, pathlib
os.umask(0o077)
name = os.environ["NAME"]
storage = pathlib.Path(os.environ["TRIVET_STORAGE"])
for folder in (storage, pathlib.Path(os.environ["TMPDIR"])):
    (folder / "secret").write_text("canary")
pathlib.Path("/dev/shm", name).write_text("canary")
segment = ctypes.CDLL(None).shmget(0, 4096, 0o1600)
(storage / "told").write_text(json.dumps({"shared_memory": segment, "temporary": os.environ["TMPDIR"]}))
"""
_PERSON = r"""
import json, os, socket, sys
name, path = sys.argv[1:3]
tcp = socket.create_server(("127.0.0.1", 0))
unix = [socket.socket(socket.AF_UNIX) for _ in range(2)]
unix[0].bind(path)
unix[1].bind("\0" + name)
for each in unix:
    each.listen(64)
controller, terminal = os.openpty()
print(json.dumps({"tcp": tcp.getsockname()[1], "terminal": os.ttyname(terminal)}), flush=True)
sys.stdin.read()
"""


def main(root: Path, *, is_free: bool) -> None:
    """The attempts were made, by the app or (`is_free`) by a process of the same user that nothing confines."""
    os.environ["SECRET"] = CANARY
    _leave_keys()
    shop = Shop(Home(root / "home"), Deploy(AppName("shop"), DeployName("production")), Machine(Home(root / "home")))
    _plant(root)
    shop.machine.up()
    try:
        with _person(root) as person:
            targets = _targets(root, shop)
            pids = {**targets["pids"], "person": person["pid"]}
            (root / "targets.json").write_text(json.dumps({**targets, **person, "pids": pids}))
            print(_run_free(root) if is_free else _run_app(shop), end="", flush=True)
    finally:
        shop.machine.down()
        Path("/dev/shm", root.name).unlink(missing_ok=True)


def _plant(root: Path) -> None:
    files = (
        *(
            f"person/{name}"
            for name in (".ssh/id_ed25519", ".ssh/authorized_keys", ".aws/credentials", ".netrc", ".profile")
        ),
        *("home/trivet.db", "home/keys/config.key", "home/notify/subscribers.json", "home/objects/ca/nary"),
        *("home/cache/shop/file", "home/cache/blog/file", "home/layers/other/file", "person/.config/systemd/user/any"),
    )
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{CANARY}\n")
        path.chmod(0o600)
    (root / "person").chmod(0o700)
    (root / "file").write_text(CANARY)


def _targets(root: Path, shop: Shop) -> dict[str, Any]:
    """Both apps run; this is what the hostile one is told of the other."""
    python = f"{sys.executable} -I -S -u"
    other = shop.beside("blog")
    web = ProcessType("web", f"{python} web.py", settle_s=0.1)
    other.release(1, {"web.py": _OTHER + WEB, "secret.py": CANARY}, (web,), config={"NAME": root.name})
    attempts = {f"running/{path.name}": path.read_text() for path in (root / "running").glob("*.py")}
    worker = ProcessType("worker", f"{sys.executable} -u -m running {root}/targets.json stay", settle_s=0.05)
    shop.release(1, {"web.py": WEB, **attempts}, (web, worker))
    for each in (other, shop):
        each.ok(1)
    (root / "home" / "readable").write_text(f"{root}/targets.json\n")
    (running,) = other.processes("web.1")
    door = door_link.connect(shop.home)
    try:
        door_pid = int(door.ask({"do": "status"}).data["pid"])
    finally:
        door.close()
    pids = {
        "other": running.pid,
        "sibling": shop.pids()["v1.web.1"],
        "supervisor": shop.supervisor_pid(),
        "door": door_pid,
    }
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    told = json.loads((shop.home.storage(other.deploy) / "told").read_text())
    places = {"home": f"{root}/home", "person": f"{root}/person", "name": root.name, "file": f"{root}/file"}
    address = shop.machine.address(other.deploy)
    ports = {"backend": running.port, "address": address.port if address else 0, "free": free}
    return {**told, **places, **ports, "pids": pids, "socket": f"{root}/agent"}


def _run_app(shop: Shop) -> str:
    shop.machine.scale(shop.deploy, {"worker": 1})
    wait_until(lambda: "finished\n" in shop.log("v1.worker.1") or "Traceback" in shop.log("v1.worker.1"))
    return shop.log("v1.worker.1")


def _run_free(root: Path) -> str:
    temporary = root / "temporary"
    temporary.mkdir()
    argv = (sys.executable, "-m", "running", f"{root}/targets.json")
    environment = {"TMPDIR": str(temporary), "PATH": os.environ["PATH"], "SECRET": CANARY}
    return subprocess.run(argv, env=environment, cwd=root, capture_output=True, text=True, check=False).stdout


@contextlib.contextmanager
def _person(root: Path) -> Iterator[dict[str, Any]]:
    """A person's process, which is confined by nothing and has things to hide, runs inside the block."""
    argv = (sys.executable, "-c", _PERSON, root.name, f"{root}/agent")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(argv, cwd=root / "person", **pipes) as person:  # type: ignore[call-overload]
        try:
            yield {**json.loads(person.stdout.readline()), "pid": person.pid}
        finally:
            person.send_signal(signal.SIGCONT)
            person.stdin.close()
            person.wait(60)


def _leave_keys() -> None:
    libc, number = ctypes.CDLL(None), _ADD_KEY[os.uname().machine]
    for name, keyring in _KEYRINGS.items():
        libc.syscall(number, b"user", name, b"canary", 6, keyring)


if __name__ == "__main__":
    main(Path(sys.argv[1]), is_free="free" in sys.argv)
    shutil.rmtree(sys.argv[1], ignore_errors=True)
