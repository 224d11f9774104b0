"""Docker: a daemon of our own, which touches no network setting, and a base image made from Debian's packages.

Needs root, and `apt-get install docker.io debootstrap`. The image has this machine's uv, node and npm, so that both sides
run the same tools, and whose certificates this machine trusts.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from measure import time_command

_CLIENT = "/usr/bin/docker"  # Debian's, which speaks BuildKit without a plugin
_BASE = "trivet-bench-base"
_IMAGE = "trivet-bench"
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
_PASSED = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "UV_DEFAULT_INDEX", "NPM_CONFIG_REGISTRY")
_START_S = 30.0


@dataclass(frozen=True, slots=True)
class Docker:
    """A running daemon, by its socket."""

    socket: Path

    def build(self, context: Path, *options: str) -> float:
        """Seconds that `docker build` of the folder took."""
        passed = [f"--build-arg={name}" for name in _PASSED if name in os.environ]
        arguments = ("build", "--quiet", "--network=host", f"--tag={_IMAGE}", *passed, *options, str(context))
        return time_command((*self._client, *arguments), environment={"DOCKER_BUILDKIT": "1"})

    def forget(self) -> None:
        """No layer and no download of an earlier build is left."""
        self._run("image", "rm", "--force", _IMAGE, check=False)
        self._run("builder", "prune", "--all", "--force")

    def has_base(self) -> bool:
        """Whether the base image is there from an earlier run."""
        return self._run("image", "inspect", _BASE, check=False) == 0

    def import_base(self, tree: Path) -> None:
        """The tree is the base image."""
        changes = [f"--change=ENV {name}=/{_CERTIFICATES}" for name in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")]
        with subprocess.Popen(("tar", "-C", str(tree), "-c", "."), stdout=subprocess.PIPE) as packing:
            argv = (*self._client, "import", *changes, "-", _BASE)
            subprocess.run(argv, stdin=packing.stdout, check=True, capture_output=True)

    def _run(self, *arguments: str, check: bool = True) -> int:
        return subprocess.run((*self._client, *arguments), check=check, capture_output=True).returncode

    @property
    def _client(self) -> tuple[str, ...]:
        return (_CLIENT, "--host", f"unix://{self.socket}")


@contextlib.contextmanager
def docker(folder: Path) -> Iterator[Docker]:
    """A daemon that keeps all it has in the folder runs inside the block, with the base image."""
    for program in ("dockerd", "debootstrap"):
        if shutil.which(program) is None:
            sys.exit(f"There is no {program}: `apt-get install docker.io debootstrap`, or leave docker out.")
    folder.mkdir(parents=True, exist_ok=True)
    engine = Docker(folder / "socket")
    with _daemon(folder, engine):
        if not engine.has_base():
            with _base_tree(folder / "tree") as tree:
                engine.import_base(tree)
        yield engine


@contextlib.contextmanager
def _daemon(folder: Path, engine: Docker) -> Iterator[None]:
    places = (f"--data-root={folder / 'data'}", f"--exec-root={folder / 'exec'}", f"--pidfile={folder / 'pid'}")
    network = ("--bridge=none", "--iptables=false", "--ip6tables=false")
    (folder / "pid").unlink(missing_ok=True)  # of a run that was killed
    argv = ("dockerd", *places, *network, f"--host=unix://{engine.socket}")
    with (folder / "log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
        try:
            _wait_for(engine, process, folder / "log")
            yield
        finally:
            process.send_signal(signal.SIGTERM)


def _wait_for(engine: Docker, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + _START_S
    while engine._run("version", check=False) != 0:
        if process.poll() is not None or time.monotonic() > until:
            sys.exit(f"dockerd does not run; it said in {log}:\n{log.read_text()[-2000:]}")
        time.sleep(0.1)


@contextlib.contextmanager
def _base_tree(tree: Path) -> Iterator[Path]:
    """Debian with Python and this machine's tools, in the folder while inside the block."""
    print("making the base image (once, a minute or two)", file=sys.stderr, flush=True)
    packages = "--include=ca-certificates,python3,libstdc++6"
    try:
        argv = ("debootstrap", "--variant=minbase", packages, "bookworm", str(tree))
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        _add_tools(tree)
        yield tree
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def _add_tools(tree: Path) -> None:
    shutil.copy(Path(sys.executable).parent / "uv", tree / "usr/bin/uv")
    if (node := shutil.which("node")) and (npm := shutil.which("npm")):
        package = Path(npm).resolve().parent.parent
        shutil.copy(Path(node).resolve(), tree / "usr/bin/node")
        shutil.copytree(package, tree / "usr/lib/npm", symlinks=True)
        (tree / "usr/bin/npm").symlink_to("../lib/npm/bin/npm-cli.js")
    shutil.copy(Path("/", _CERTIFICATES), tree / _CERTIFICATES)
