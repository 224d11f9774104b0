"""The real `trivet` command, in a home of its own, with an environment made from nothing."""

import contextlib
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_KEPT = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "TRIVET_ALLOW_MUTABLE",
)
DEADLINE_S = 240.0


@dataclass(frozen=True, slots=True)
class Done:
    """What a command ended with."""

    status: int
    out: str
    err: str

    @property
    def told(self) -> str:
        """`out`, with `(ledger …)` for the ledger's checkpoint: its root is another every time."""
        return re.sub(r"\(ledger [0-9]+:[A-Za-z0-9+/]{43}=\)", "(ledger …)", self.out)

    def json(self) -> Any:
        return json.loads(self.out)


class Trivet:
    """`trivet`, run in a folder against one home."""

    def __init__(self, home: Path, folder: Path, extra: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.folder = folder
        self.launcher: tuple[str, ...] = ()  # what the command is started by
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home.parent),
            "LANG": "C.UTF-8",
            "TRIVET_HOME": str(home),
            "TRIVET_WARM": os.environ.get("TRIVET_WARM", ""),
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            **(extra or {}),
        }

    def at(self, folder: Path) -> "Trivet":
        """The same home, from another folder."""
        other = Trivet(self.home, folder)
        other.environment, other.launcher = self.environment, self.launcher
        return other

    def start(self, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
        """The command, running; the caller ends it."""
        return subprocess.Popen(
            (*self.launcher, sys.executable, "-m", "trivet", *arguments),
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdin=options.pop("stdin", subprocess.DEVNULL),
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=options.pop("stderr", subprocess.PIPE),
            **options,
        )

    def run(self, *arguments: str, input: str | None = None, timeout_s: float = DEADLINE_S) -> Done:
        """The command, ended."""
        with self.start(*arguments, stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL) as process:
            out, err = process.communicate(input, timeout=timeout_s)
        return Done(process.returncode, out, err)

    def ok(self, *arguments: str, input: str | None = None) -> Done:
        """The command, ended well; its whole output in the failure otherwise."""
        done = self.run(*arguments, input=input)
        assert done.status == 0, f"trivet {' '.join(arguments)} ended with {done.status}\n{done.out}\n{done.err}"
        return done

    def processes(self, **wanted: object) -> list[dict[str, Any]]:
        """`trivet ps --json`, those whose fields are as wanted."""
        found: list[dict[str, Any]] = self.ok("ps", "--all", "--json").json()
        return [process for process in found if all(process[key] == value for key, value in wanted.items())]

    def pids(self) -> dict[str, int]:
        """The pid of each running process, by its name."""
        return {process["process"]: process["pid"] for process in self.processes(state="running")}

    @property
    def url(self) -> str:
        """Where the only deploy is reached."""
        (deploy,) = self.ok("apps", "--json").json()
        return f"{deploy['address']}/"

    @property
    def supervisor_pid(self) -> int:
        """The pid of the supervisor."""
        return self._pid_of("run/__main__.py")

    @property
    def door_pid(self) -> int:
        """The pid of the front door."""
        return self._pid_of("door/__main__.py")

    def _pid_of(self, program: str) -> int:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                argv = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if {str(self.home), str(self.home / "run")} & set(argv) and any(
                argument.endswith(program) for argument in argv
            ):
                return int(folder.name)
        raise LookupError(f"no {program} runs for {self.home}")


def own_port() -> str:
    """A port that no test beside this one will take while nothing of this one runs."""
    while True:
        port = random.randrange(10_000, 19_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return str(port)


def fetch(url: str, *, deadline_s: float = 60.0) -> tuple[int, str]:
    """Status and body of a GET."""
    try:
        with urllib.request.urlopen(url, timeout=deadline_s) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def eventually(check: Callable[[], object], *, deadline_s: float = 60.0, what: str = "it") -> None:
    """Returns once `check` is true."""
    until = time.monotonic() + deadline_s
    while not check():
        assert time.monotonic() < until, f"{what} did not happen within {deadline_s} s"
        time.sleep(0.02)
