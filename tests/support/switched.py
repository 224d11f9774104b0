"""Homes of which each trial of a switch gets a running copy, and a client that asks all the while."""

import contextlib
import glob
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.command import Done, Trivet, eventually, own_port
from support.installation import install
from support.points import Points, Role
from support.world import ENVIRONMENT, World, copy_home

# Exits when told to once it has answered, and as its release has it: at once, or at a user's first request.
SERVER = """
import os, select, signal, socket, sys
mode, number = os.environ.get("MODE", ""), os.environ["TRIVET_RELEASE"]
if mode == "dies":
    sys.exit(3)
leaving = []
signal.signal(signal.SIGTERM, lambda *_: leaving.append(1))
if "LISTEN_FDS" in os.environ:
    listener = socket.socket(fileno=3)
else:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(os.environ["PORT"])))
    listener.listen(64)
listener.setblocking(False)
body = f"{os.environ.get('GREETING', '-')} {number}\\n".encode()
head = b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body)
while not leaving:
    if not select.select([listener], (), (), 0.05)[0]:
        continue
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        continue
    connection.setblocking(True)
    asked = connection.recv(65536)
    if mode == "late" and b"X-User" in asked:
        sys.exit(4)
    if mode == "talks":
        print("x" * 20000, flush=True)
    connection.sendall(head + body)
    connection.close()
"""
PROCFILE = 'web: exec python3 -I -S server.py\nworker: test "$MODE" != idle || exit 5; exec sleep 86400\n'
TOML = {
    "relayed": "",
    "alone": "overlap = false\n",
    "inherited": '\n[processes.web]\nsocket = "inherit"\n',
}
FORMATION = {"web": 2, "worker": 1}
_ENVIRONMENT = {**ENVIRONMENT, "TRIVET_WARM": "0.2", "TRIVET_LOG_LIMITS": "size=64k"}
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_GROUPS = Path("/sys/fs/cgroup")
_ASK = b"GET / HTTP/1.1\r\nHost: shop\r\nX-User: 1\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Served:
    """What is answered: GREETING, and the release's number."""

    greeting: str
    release: int


class Switched(World):
    """Homes at rest by their kind (`TOML`): two releases, `a` and `b`, of which the second one runs."""

    def begin_as(self, kind: str, *, runs: bool = True) -> None:
        """The home is a copy of that kind's, and runs if it is to."""
        self.end_all()
        self.remove_groups()
        copy_home(self.folder / kind, self.home)
        self.points.arm(Role.NOBODY)
        if runs:
            self.pointed.ok("up")
            eventually(lambda: self.served() is not None, what="the prepared app")

    def served(self) -> Served | None:
        """What is answered now; None: nothing is."""
        with contextlib.suppress(OSError):
            return ask(int(self.port))
        return None

    @property
    def patient(self) -> Trivet:
        """The command under trial, which watches a release until what is wrong with it has shown, however late."""
        return Trivet(self.home, self.repository.path, {**self.pointed.environment, "TRIVET_WARM": "10"})

    def upgraded(self, points: Points) -> Trivet:
        """The command of a newer installation."""
        place = self.folder / "newer"
        if not place.exists():
            install(place, "99.0.0")
        return Trivet(self.home, self.repository.path, {**_ENVIRONMENT, **points.environment, "PYTHONPATH": str(place)})

    def boot(self) -> Done:
        """`up`, as after a reboot: no process is left, no control group, and the machine's boot has another name."""
        self.end_all()
        self.remove_groups()
        name = self.folder / "boot_id"
        name.write_text(f"{uuid.uuid4()}\n")
        script = f'mount --bind "$1" {_BOOT_ID} && shift && exec "$@"'
        argv = ("unshare", "--mount", "sh", "-c", script, "sh", name, sys.executable, "-m", "trivet", "up")
        done = subprocess.run(
            argv, cwd=self.plain.folder, env=self.plain.environment, capture_output=True, text=True, timeout=120
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def groups(self) -> tuple[Path, ...]:
        """The control groups of the home's processes."""
        name = glob.escape(str(self.home).strip("/").replace("/", ":"))
        patterns = (f"{_GROUPS}/{'*/' * depth}trivet/{name}/*/*/" for depth in range(4))
        return tuple(Path(path) for pattern in patterns for path in glob.glob(pattern))  # noqa: PTH207 - others' go meanwhile

    def remove_groups(self) -> None:
        """None of them is left; nothing runs."""
        for group in self.groups():
            eventually(lambda each=group: _is_removed(each), what=f"the end of {group}")  # type: ignore[misc]

    def _prepare(self) -> None:
        self.plain.environment |= _ENVIRONMENT
        self.pointed.environment |= _ENVIRONMENT
        self.port = own_port()
        trivet = self.plain
        for kind, toml in TOML.items():
            text = f'app = "shop"\n\n[processes.worker]\nsettle = 0.02\n{toml}'
            self.repository.commit({"Procfile": PROCFILE, "trivet.toml": text, "server.py": SERVER}, kind)
            trivet.ok("config", "set", "GREETING=a")
            trivet.ok("deploy", "--port", self.port)
            trivet.ok("scale", *(f"{name}={count}" for name, count in FORMATION.items()))
            trivet.ok("config", "set", "GREETING=b")
            trivet.ok("down")
            self.home.rename(self.folder / kind)


def ask(port: int) -> Served:
    """The whole answer to a request on a connection of its own. Raises: OSError, for anything else."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(_ASK)
        answer = b""
        while data := connection.recv(65536):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    words = body.decode().split()
    if not head.startswith(b"HTTP/1.1 200 ") or len(words) != 2:
        raise OSError(f"answered {answer!r}")
    return Served(words[0], int(words[1][1:]))


class Client:
    """Asks one request after the other; what failed is kept."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stopping = threading.Event()
        self.answers: Counter[Served] = Counter()
        self.failures: list[str] = []

    def has_asked(self, count: int) -> bool:
        """So many requests more have ended, one way or the other."""
        until = self._asked + count
        limit = time.monotonic() + 60
        while self._asked < until:
            if time.monotonic() > limit:
                return False
            time.sleep(0.01)
        return True

    @property
    def _asked(self) -> int:
        return self.answers.total() + len(self.failures)

    def run(self) -> None:
        while not self._stopping.wait(0.01):
            try:
                self.answers[ask(self._port)] += 1
            except OSError as error:
                self.failures.append(repr(error))

    def stop(self) -> None:
        self._stopping.set()


@contextlib.contextmanager
def asking(port: int) -> Iterator[Client]:
    """A client asks until the block is left."""
    client = Client(port)
    thread = threading.Thread(target=client.run)
    thread.start()
    try:
        yield client
    finally:
        client.stop()
        thread.join(60)


def _is_removed(group: Path) -> bool:
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()
