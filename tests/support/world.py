"""Worlds: a home at rest with two deploys, prepared once, of which every trial gets a copy that runs."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trivet
from support.command import Done, Trivet, eventually, fetch, own_port
from support.points import Points, Role, compile_library
from support.repository import Repository

SERVER = """
import os, socket
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(os.environ["PORT"])))
listener.listen(64)
body = f"VERSION {os.environ.get('GREETING', '-')} {os.environ['TRIVET_RELEASE']}\\n".encode()
while True:
    connection, _ = listener.accept()
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(body), body))
    connection.close()
"""
FILES = {
    "Procfile": "web: exec python3 -I -S server.py\nworker: exec sleep 86400\nrelease: true\n",
    "trivet.toml": 'app = "shop"\n\n[processes.worker]\nsettle = 0.02\n',
}
ENDS_WITHIN_S = 60.0
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": str(Path(trivet.__file__).parents[1])}
_HEX = re.compile(r"(?<![A-Za-z])[0-9a-f]{8,}(?![A-Za-z])")
_NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class Served:
    """What a deploy answers: the version of its code, its GREETING."""

    version: str
    greeting: str


class World:
    """A home at rest that is copied for every trial."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.rest = folder / "rest"
        self.repository = Repository(folder / "shop")
        self.plain = Trivet(self.home, self.repository.path, ENVIRONMENT)
        self.points = Points(compile_library(folder), self.home, folder)
        self.pointed = Trivet(self.home, self.repository.path, {**ENVIRONMENT, **self.points.environment})
        self.port, self.other_port = own_port(), own_port()
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell's background jobs have it, and hand it on
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        self._prepare()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def close(self) -> None:
        """Nothing of it runs."""
        self.end_all()
        self.points.close()

    def begin(self) -> None:
        """The home is as prepared, and runs."""
        self.end_all()
        copy_home(self.rest, self.home)
        self.points.arm(Role.NOBODY)
        self.pointed.ok("up")
        eventually(lambda: self.answer() is not None, what="the prepared app")

    def commit(self, version: str) -> None:
        self.repository.commit({**FILES, "server.py": SERVER.replace("VERSION", version, 1)}, f"Open {version}")

    def run(self, arguments: tuple[str, ...], trivet: Trivet | None = None) -> Done:
        """The command under trial, ended: by itself, or as one of those that stand still, all of which are killed."""
        with (trivet or self.pointed).start(*arguments) as process:
            out, err = self._communicate(process)
        return Done(process.returncode, out, err)

    def answer(self) -> tuple[Served, int] | None:
        """What production answers, and the number of the release that does; None: nothing does."""
        try:
            status, body = fetch(self.url, deadline_s=60.0)
        except OSError:
            return None
        words = body.split()
        return (Served(words[0], words[1]), int(words[2][1:])) if status == 200 and len(words) == 3 else None

    def processes(self) -> dict[int, str]:
        """The command lines of all processes that belong to the home, by what they were started with."""
        return {pid: line for pid, line in _all_processes() if str(self.home) in line}

    def end_all(self) -> None:
        """No process of the home runs. What is started meanwhile is found the next time."""
        while running := self.processes():
            for pid in running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)

    def shapes(self) -> dict[str, str]:
        """The kinds of paths below the home, names with their numbers and digests taken out; each with one such path."""
        walked = os.walk(self.home)  # which passes over what is removed meanwhile
        found = (Path(folder, name) for folder, folders, files in walked for name in (*folders, *files))
        paths = (str(path.relative_to(self.home)) for path in found)
        return {_shape(path): path for path in paths}

    def statuses(self) -> list[dict[str, Any]]:
        """What the files on processes say at the moment; not those that are just being made, or removed."""
        found = []
        for path in self.home.glob("apps/*/deploys/*/run/status/[!.]*"):
            with contextlib.suppress(FileNotFoundError):
                found.append(json.loads(path.read_text().partition("\n")[0]))
        return found

    def grant(self) -> None:
        """Who is to have a signal that a child of it cannot send has it."""
        if asked := self.points.asked:
            with contextlib.suppress(ProcessLookupError):
                os.kill(*asked)
            self.points.grant()

    def _communicate(self, process: "subprocess.Popen[str]") -> tuple[str, str]:
        until = time.monotonic() + ENDS_WITHIN_S
        while True:
            try:
                return process.communicate(timeout=0.02)
            except subprocess.TimeoutExpired:
                if self.points.is_dead:
                    self.end_all()
                self.grant()
                if time.monotonic() > until:
                    process.kill()
                    out, err = process.communicate()
                    return out, f"{err}\nThe command did not end within {ENDS_WITHIN_S:g} s.\n"

    def _prepare(self) -> None:
        trivet = self.plain
        self.commit("one")
        trivet.ok("config", "set", "GREETING=a")
        trivet.ok("deploy", "--port", self.port)
        trivet.ok("scale", "worker=1")
        trivet.ok("config", "set", "GREETING=b")
        self.commit("four")
        trivet.ok("config", "set", "GREETING=s", "-d", "staging")
        trivet.ok("deploy", "-d", "staging", "--port", self.other_port)
        self.commit("two")
        trivet.ok("deploy")
        self.commit("three")
        trivet.ok("down")
        for seconds, document in enumerate(sorted(self.home.glob("apps/*/builds/*/build.json"))):
            os.utime(document, (seconds, seconds))  # old enough to be pruned
        self.home.rename(self.rest)


def copy_home(rest: Path, home: Path) -> None:
    """The home is as the other, at rest, was; the caller has ended what ran in it."""
    shutil.rmtree(home, ignore_errors=True)
    subprocess.run(("cp", "-a", rest, home), check=True)


def _all_processes() -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if folder.name != str(os.getpid()):
                line = (folder / "cmdline").read_bytes() + b"\0" + _home_of(folder / "environ")
                yield int(folder.name), line.replace(b"\0", b" ").decode(errors="replace")


def _home_of(path: Path) -> bytes:
    wanted = (b"TMPDIR=", b"TRIVET_HOME=", b"POINTS_HOME=", b"HOME=")
    return b"\0".join(entry for entry in path.read_bytes().split(b"\0") if entry.startswith(wanted))


def _shape(path: str) -> str:
    return _NUMBER.sub("N", _HEX.sub("H", path))
