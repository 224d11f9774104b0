"""A container engine of the tests' own: a dockerd on a socket in a folder, with one image made from busybox."""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from support.command import eventually

_APPLETS = ("sh", "cat", "echo", "env", "mkdir", "ls", "wc")


@dataclass(frozen=True, slots=True)
class Engine:
    """A running dockerd."""

    socket: Path

    @property
    def caller(self) -> Mapping[str, str]:
        """This environment, which says where the engine is."""
        return {**os.environ, "DOCKER_HOST": f"unix://{self.socket}"}

    def ask(self, *arguments: str, given: bytes | None = None) -> str:
        """What a docker command says."""
        argv = ("docker", *arguments)
        return subprocess.run(argv, env=dict(self.caller), input=given, capture_output=True, check=True).stdout.decode()


@contextlib.contextmanager
def engine_in(folder: Path) -> Iterator[Engine]:
    """The engine runs inside the block, and has an image `base` with a shell in it."""
    socket, log = folder / "engine.sock", folder / "engine.log"
    places = ("--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid")
    program = shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program is not None, "scripts/toolchains installs docker.io"
    argv = (program, *places, "--host", f"unix://{socket}", "--iptables=false", "--bridge=none")
    with log.open("wb") as out, subprocess.Popen(argv, stdout=out, stderr=out, start_new_session=True) as process:
        engine = Engine(socket)
        try:
            eventually(lambda: process.poll() is not None or _answers(engine), what="an answer of dockerd")
            assert process.poll() is None, log.read_text()
            engine.ask("import", "-", "base", given=_base())
            yield engine
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _answers(engine: Engine) -> bool:
    with contextlib.suppress(subprocess.CalledProcessError):
        engine.ask("version")
        return True
    return False


def _base() -> bytes:
    """A root file system: busybox, by the names of some of its programs."""
    packed = io.BytesIO()
    program = shutil.which("busybox")
    assert program is not None, "scripts/toolchains installs busybox-static"
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(program, "bin/busybox")
        for name in _APPLETS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    return packed.getvalue()
