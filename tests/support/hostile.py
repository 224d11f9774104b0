"""What the hostile app is set on: a person's home, another app's things, and a process with something to hide."""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from support.building import Builder
from support.command import Trivet
from support.repository import Repository
from trivet.build import stage
from trivet.build.uv import uv_version
from trivet.errors import MachineError
from trivet.host import namespaces
from trivet.model.home import Home

_PR_SET_DUMPABLE = 4
_NEEDED = (stage, namespaces)  # imported later otherwise
EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "hostile"
_PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin:/bin") or sys.executable
CANARY = "canary-7d0c"
NOBODY = 65534
_VICTIM = r"""
import ctypes, json, os, pathlib, socket, sys, threading
name, run = sys.argv[1], pathlib.Path(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
segment = libc.shmget(0, 4096, 0o1600)
pathlib.Path("/dev/shm", name).write_text("canary")
tcp = socket.create_server(("127.0.0.1", 0))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
unix = [socket.socket(socket.AF_UNIX) for _ in range(2)]
unix[0].bind(str(run / "control.sock"))
unix[1].bind("\0" + name)
for each in unix:
    each.listen(64)
free = socket.create_server(("127.0.0.1", 0))
controller, terminal = os.openpty()
told = {"shared_memory": segment, "tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1], "pid": os.getpid(),
        "terminal": os.ttyname(terminal), "free": free.getsockname()[1]}
free.close()
def echo():
    while True:
        udp.sendto(*udp.recvfrom(64))
threading.Thread(target=echo, daemon=True).start()
print(json.dumps(told), flush=True)
sys.stdin.read()
libc.shmctl(segment, 0, None)
os.unlink("/dev/shm/" + name)
"""


@dataclass
class Scene:
    """One user's machine, with the hostile app in a repository, about to be built. `targets` is what the app is told."""

    root: Path
    user: int
    name: str
    trivet: Trivet
    repository: Repository
    targets: Mapping[str, object] = field(default_factory=dict)

    def build(self, way: str) -> dict[str, str]:
        """What came of each attempt, by its name: "refused: Permission denied", "done: …"."""
        self.trivet.environment["TRIVET_SECLUSION"] = way
        lines = self._by_command() if self.user == os.geteuid() else _as(self.user, self._in_process)
        parts = [line.partition(": ") for line in lines]
        told = {name: outcome for name, _, outcome in parts if outcome.startswith(("refused", "done"))}
        assert told, lines
        seen = {name: _seen_outside(outcome) for name, outcome in told.items()}
        Path("/tmp", f"{self.name}-was-here").unlink(missing_ok=True)
        return seen

    def build_hook(self, way: str) -> dict[str, str]:
        """What came of each attempt of the install hook, which is run when the app's package is built."""
        (self.root / "shop" / "requirements.txt").write_text("./hook\n")
        self.repository.commit({"trivet.toml": None})
        reached = {"HTTPS_PROXY": os.environ["HTTPS_PROXY"]} if "HTTPS_PROXY" in os.environ else {}
        environment = {name: value for name, value in self.trivet.environment.items() if name != "HTTPS_PROXY"}
        self.trivet.environment = {**environment, **reached, "TRIVET_SECLUSION": way}  # what builds it is fetched
        built = self.trivet.run("build", "--rebuild", "--json")
        assert built.status == 0, built.err
        bundle = self.trivet.home / "apps" / "shop" / "builds" / built.json()["id"] / "bundle"
        (packed,) = bundle.glob("*/**/hostile_hook/attempts.txt") or bundle.rglob("attempts.txt")
        parts = [line.partition(": ") for line in packed.read_text().splitlines()]
        return {name: _seen_outside(outcome) for name, _, outcome in parts}

    def _by_command(self) -> list[str]:
        built = self.trivet.run("build", "--rebuild", "--json")
        log = self.trivet.run("builds", "log", "failed" if built.status else built.json()["id"]).out
        assert built.status == 0, f"{built.err}\n{log}"
        return log.splitlines()

    def _in_process(self) -> list[str]:
        builder = Builder(Home(self.trivet.home), self.repository, caller=self.trivet.environment)
        with contextlib.suppress(MachineError):  # unconfined, the app moves the folder away in which it is built
            builder.build(rebuild=True)
        return builder.told.lines


def _seen_outside(outcome: str) -> str:
    """A file that was written is one only if it is there outside, too."""
    before, is_file, path = outcome.partition("'file ")
    if before != "done: " or not is_file:
        return outcome
    return outcome if Path(path.rstrip("'")).exists() else "refused: the file is in a tree of the build's own"


def _as(user: int, act: Callable[[], list[str]]) -> list[str]:
    """What the function returns when that user calls it: in a child, since this process stays root.

    Another user may be unable to read the Python that this process runs on: all modules have to be there already.
    """
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(told)
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # else its /proc/self would stay root's
            os.environ["HOME"] = "/nonexistent"
            text = "\n".join(act())
        except Exception as error:  # noqa: BLE001 - it must come back to the parent, whatever it is
            text = f"{error!r}\n{getattr(error, 'detail', '')}"
        with os.fdopen(tell, "w") as pipe:
            pipe.write(text)
        os._exit(0)
    os.close(tell)
    with os.fdopen(told) as pipe:
        lines = pipe.read().splitlines()
    os.waitpid(child, 0)
    return lines


def users() -> tuple[int, ...]:
    """Whom builds can be tried as here: the present user, and nobody if root may become that and it can read Trivet."""
    if os.geteuid() != 0:
        return (os.geteuid(),)
    return (0, NOBODY) if _as(NOBODY, lambda: [uv_version()]) == [uv_version()] else (0,)


@contextlib.contextmanager
def scene(user: int) -> Iterator[Scene]:
    """All that the app is set on is there inside the block."""
    with tempfile.TemporaryDirectory(prefix="hostile-", ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        name = root.name
        _plant(root)
        for path in (root, *root.rglob("*")):
            os.chown(path, user, user)
        argv = (_PYTHON, "-c", _VICTIM, name, str(root / "home" / "run"), CANARY)
        environment = {**os.environ, "SECRET": CANARY}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(argv, env=environment, cwd=root / "person", user=user, group=user, **pipes) as victim:  # type: ignore[call-overload]
            try:
                yield _scene(root, user, json.loads(victim.stdout.readline()))
            finally:
                victim.send_signal(signal.SIGCONT)  # whatever an attempt did to it
                victim.stdin.close()
                victim.wait(60)


def _plant(root: Path) -> None:
    files = (
        *(f"person/{name}" for name in (".ssh/id_ed25519", ".aws/credentials", ".netrc", ".npmrc")),
        *("home/cache/other/file", "home/layers/other/file", "home/objects/ca/nary", "home/scratch/other/work/file"),
        *("home/cache/shop/file", "home/apps/other/deploys/production/releases/v1/env.age", "home/run/key"),
        *("home/keys/config.key", "home/env/other/production/v1.json"),
    )
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{CANARY}\n")
        path.chmod(0o600)


def _scene(root: Path, user: int, told: Mapping[str, object]) -> Scene:
    repository = Repository(root / "shop")
    files = {
        path.relative_to(EXAMPLE).as_posix(): path.read_text() for path in EXAMPLE.rglob("*.*") if _is_source(path)
    }
    places = {"person": f"{root}/person", "home": f"{root}/home", "repository": f"{root}/shop", "abstract": root.name}
    targets = {**told, **places, "others_scratch": f"{root}/home/scratch/other/work"}
    repository.commit({**files, "Procfile": "web: python3 web.py\n", "targets.json": json.dumps(targets)})
    for path in (root / "shop", *(root / "shop").rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)
    secrets = {"SECRET": CANARY, "AWS_SECRET_ACCESS_KEY": CANARY, "HTTPS_PROXY": f"http://ada:{CANARY}@127.0.0.1:1"}
    trivet = Trivet(root / "home", root / "shop", {**secrets, "HOME": f"{root}/person"})
    return Scene(root, user, root.name, trivet, repository, targets)


def _is_source(path: Path) -> bool:
    return path.suffix in (".py", ".toml") and "__pycache__" not in path.parts


def is_running(mark: str) -> bool:
    """Whether a process runs that has this word among its arguments."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes().split(b"\0") and CANARY.encode() not in path.read_bytes():
                return True
    return False
