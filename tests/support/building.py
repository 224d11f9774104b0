"""What tests of the build stage share: a listener that remembers, and a built process that answers."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from support.command import eventually, fetch
from support.repository import Repository
from trivet.build import BuildRequest, Built, make_build
from trivet.build.confinement import seclusion_here
from trivet.build.scratch import make_folders
from trivet.errors import MachineError
from trivet.host.seclusion import Seclusion
from trivet.model.build import Build
from trivet.model.build_plan import Phase
from trivet.model.home import Home
from trivet.model.names import AppName

APP = AppName("shop")


def _works(way: str) -> bool:
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(MachineError):
        make_folders(Path(folder))
        return bool(seclusion_here(Path(folder), way))
    return False


WAYS = tuple(
    way for way in Seclusion if way is not Seclusion.NONE and _works(way)
)  # of confining a build, on this machine
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass
class Recorder:
    """A listener that remembers what it was told."""

    steps: list[str] = field(default_factory=list)
    phases: list[Phase | None] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def step(self, title: str, phase: Phase | None) -> None:
        self.steps.append(title)
        self.phases.append(phase)

    def output(self, line: str) -> None:
        self.lines.append(line)

    def notice(self, text: str) -> None:
        self.notices.append(text)


@dataclass
class Builder:
    """Builds commits of one repository into one home."""

    home: Home
    repository: Repository
    told: Recorder = field(default_factory=Recorder)
    caller: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def commit(self, files: Mapping[str, str | None]) -> Built:
        """The build of a new commit with these files."""
        self.repository.commit(files)
        return self.build()

    def build(self, revision: str = "HEAD", *, directory: str = "", rebuild: bool = False) -> Built:
        """The build of a revision."""
        self.told = Recorder()
        request = BuildRequest(
            self.home,
            APP,
            self.repository.path,
            revision,
            directory=directory,
            rebuild=rebuild,
            caller=self.caller,
        )
        return make_build(request, self.told)

    def bundle(self, build: Build) -> Path:
        return self.home.bundle(build.app, build.id)

    def read(self, build: Build, name: str) -> str:
        """A file of the app's layer."""
        return (self.bundle(build) / "app" / name).read_text()

    @contextlib.contextmanager
    def serve(self, build: Build, environment: Mapping[str, str] | None = None) -> Iterator[str]:
        """The URL at which the web process of the build answers."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        command = next(process.command for process in build.processes if process.name == "web")
        with self.start(build, command, {**(environment or {}), "PORT": str(port)}) as process:
            eventually(lambda: process.poll() is not None or _answers(url), what="an answer")
            assert process.poll() is None
            yield url

    @contextlib.contextmanager
    def start(self, build: Build, command: str, environment: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
        """A shell command in the bundle, with the build's environment; its group is ended afterwards."""
        bundle = self.bundle(build)
        own = {name: value.replace("{bundle}", str(bundle)) for name, value in build.environment.items()}
        path = f"{own.pop('PATH', '')}:{SYSTEM_PATH}".lstrip(":")
        with subprocess.Popen(
            ("/bin/sh", "-c", command),
            cwd=bundle / "app" / build.folder,
            env={**environment, **own, "PATH": path, "HOME": str(self.home.root), "TMPDIR": "/tmp"},
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def _answers(url: str) -> bool:
    try:
        fetch(url)
    except OSError:
        return False
    return True
