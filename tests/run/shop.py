"""A home with releases that were never built: model documents and small apps, and the real supervisor around them."""

import os
import select
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from trivet.host import processes
from trivet.host.sockets import connect_unix, receive
from trivet.model.build import Build, Program
from trivet.model.config import Config, ConfigChange
from trivet.model.document import write_document
from trivet.model.home import Home
from trivet.model.names import AppName, Deploy
from trivet.model.output import HOOKS
from trivet.model.process import ProcessType
from trivet.model.release import Actor, Cause, Release
from trivet.model.release_settings import ReleaseSettings
from trivet.model.run import Address, ProcessStatus, RollOut
from trivet.model.source import Source
from trivet.run import Machine
from trivet.run.supervisor import launch, link

DEADLINE_S = 120.0
PATIENCE_S = 60.0  # of the supervisor, with a process that will answer, or end: on a loaded machine nobody knows when

WEB = """
import http.server, os, signal, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        status = int(os.environ.get("STATUS", "200"))
        body = (os.environ["TRIVET_RELEASE"] + " " + str(os.getpid())).encode()
        if self.path == "/environment":
            body = "\\n".join(f"{k}={v}" for k, v in sorted(os.environ.items())).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        print(self.path, flush=True)
port = int(os.environ.get("OTHER_PORT") or os.environ["PORT"])
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print("serving", flush=True)
server.serve_forever(poll_interval=0.02)
print("bye", flush=True)
"""

WORKER = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("bye", flush=True), sys.exit(0)))
print("working", os.environ["TRIVET_RELEASE"], flush=True)
while True:
    signal.pause()
"""

PYTHON = f"exec {sys.executable} -S -u"


@dataclass(frozen=True, slots=True)
class Shop:
    """One deploy in a home of its own, and the machine that runs it."""

    home: Home
    deploy: Deploy
    machine: Machine

    def beside(self, app: str) -> "Shop":
        """Another app in the same home."""
        return Shop(self.home, Deploy(AppName(app), self.deploy.name), self.machine)

    def release(
        self,
        number: int,
        files: Mapping[str, str],
        processes: Mapping[str, str] | tuple[ProcessType, ...],
        *,
        config: Mapping[str, str] | None = None,
        interpreter: str | None = None,
        settings: ReleaseSettings | None = None,
    ) -> int:
        """The release exists on disk as the release stage would have written it; files below `hooks/` are its hooks."""
        types = processes if isinstance(processes, tuple) else tuple(_process(*item) for item in processes.items())
        build = _build(self.deploy.app, f"{number:012x}", types, interpreter)
        bundle = self.home.bundle(self.deploy.app, build.id)
        (bundle / "app").mkdir(parents=True)
        for name, text in files.items():
            path = bundle / name if name.startswith("hooks/") else bundle / "app" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            path.chmod(0o755 if name.startswith("hooks/") else 0o644)
        hooks = tuple(hook for hook in HOOKS if f"hooks/{hook}" in files)
        build = replace(build, release=settings or ReleaseSettings(), hooks=hooks)
        release = Release(
            deploy=self.deploy,
            number=number,
            build=build,
            config_version=1,
            config_change=ConfigChange(),
            cause=Cause.DEPLOY,
            reason="a test",
            actor=Actor("nobody", "nowhere"),
            created_at="2026-11-23T00:00:00.000Z",
        )
        folder = self.home.release(self.deploy, number)
        folder.mkdir(parents=True)
        (folder / "release.json").write_text(write_document(release))
        environment = self.home.environment(self.deploy, number)
        environment.parent.mkdir(parents=True, exist_ok=True)
        environment.write_text(write_document(Config(dict(config or {}))))
        return number

    def shop(self, number: int, **config: str) -> int:
        """A release with a web and a worker process; `config` may hold STATUS, OTHER_PORT."""
        types = (
            ProcessType("web", f"{PYTHON} web.py", timeout_s=PATIENCE_S, grace_s=PATIENCE_S),
            ProcessType("worker", f"{PYTHON} worker.py", settle_s=0.1, grace_s=PATIENCE_S),
        )
        return self.release(number, {"web.py": WEB, "worker.py": WORKER}, types, config=config)

    def worker(self, number: int, code: str, **limits: float) -> int:
        """A release whose only process is `worker`, running this Python."""
        values = {"settle_s": 0.1, "grace_s": PATIENCE_S, **limits}
        return self.release(number, {"w.py": code}, (ProcessType("worker", f"{PYTHON} w.py", **values),))  # type: ignore[arg-type]

    def web(self, number: int, code: str, *, health: str | None = None, timeout_s: float = PATIENCE_S) -> int:
        """A release whose only process is `web`, running this Python."""
        kind = ProcessType("web", f"{PYTHON} w.py", health=health, timeout_s=timeout_s, grace_s=PATIENCE_S)
        return self.release(number, {"w.py": code}, (kind,))

    def roll_out(self, number: int, port: int | None = None) -> RollOut:
        """How the roll-out ended."""
        address = Address("127.0.0.1", port) if port is not None else None
        return self.machine.roll_out(self.deploy, number, address=address, report=lambda *_: None)

    def begin(self, number: int) -> None:
        """The roll-out is in flight, and whoever asked for it has gone away."""
        request = {"do": "roll_out", "deploy": str(self.deploy), "number": number, "address": None, "warm_s": 0.1}
        with connect_unix(launch.socket_path(self.home), DEADLINE_S) as connection:
            link.send_request(self.home, connection, request)
            receive(connection)  # the first process has started

    def ok(self, number: int, port: int | None = None) -> RollOut:
        """The roll-out, which succeeded."""
        roll_out = self.roll_out(number, port)
        assert roll_out.succeeded, (roll_out.reason, roll_out.output)
        return roll_out

    def processes(self, name: str | None = None) -> tuple[ProcessStatus, ...]:
        """The deploy's processes, or those of this name."""
        return tuple(each for each in self.machine.processes(self.deploy) if name in (None, each.process))

    def pids(self) -> dict[str, int | None]:
        """The pid of each process by `v12.web.1`."""
        return {f"v{each.release}.{each.process}": each.pid for each in self.processes()}

    def get(self, path: str = "/") -> tuple[int, str]:
        """Status and body of what the deploy's address answers."""
        address = self.machine.address(self.deploy)
        assert address is not None
        try:
            with urllib.request.urlopen(address.url + path, timeout=DEADLINE_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def fetch(self, path: str = "/") -> str:
        """The body of a good answer from the deploy's address."""
        status, body = self.get(path)
        assert status == 200, (status, body)
        return body

    def log(self, name: str) -> str:
        """What is in the log, for example of `v1.web.1`."""
        return (self.home.run(self.deploy) / "logs" / f"{name}.log").read_text()

    def log_bytes(self, name: str) -> bytes:
        """The same, as it was written."""
        return (self.home.run(self.deploy) / "logs" / f"{name}.log").read_bytes()

    def supervisor_pid(self) -> int:
        """The pid of the running supervisor."""
        return int(link.ask(self.home, {"do": "hello"}, within_s=DEADLINE_S)["pid"])

    def end(self, *pids: int | None) -> None:
        """These processes were killed and are gone."""
        for pid in pids:
            kill(pid or 0)

    def kill_supervisor(self) -> None:
        """The supervisor was killed with SIGKILL and is gone."""
        kill(self.supervisor_pid())
        wait_until(lambda: not self.machine.is_up())  # a child that it has just forked may hold its socket for a moment


def _process(name: str, command: str) -> ProcessType:
    return ProcessType(name, command, timeout_s=PATIENCE_S, settle_s=0.1, grace_s=PATIENCE_S)


def _build(app: AppName, build_id: str, types: tuple[ProcessType, ...], interpreter: str | None) -> Build:
    source = Source("c" * 40, "t" * 40, "A subject", "Nobody", "2026-11-23T00:00:00Z", "", "/nowhere")
    return Build(
        id=build_id,
        app=app,
        source=source,
        builder="procfile",
        input_key="k",
        layers=(),
        processes=types,
        environment={"PATH": "{bundle}/app/bin", "BUNDLE": "{bundle}"},
        tools={"python": Program(interpreter, "9.9")} if interpreter else {},
        runtime="python" if interpreter else None,
        created_at="2026-11-23T00:00:00.000Z",
        duration_s=0.0,
    )


def free_port() -> int:
    """A port that nobody else is likely to take while nobody listens on it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], object]) -> None:
    """Returns once the condition is true, which it must be before the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def kill(pid: int) -> None:
    """The process was killed with SIGKILL and is gone."""
    pidfd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        assert poll.poll(DEADLINE_S * 1000)
        processes.exit_of(pidfd)
    finally:
        os.close(pidfd)
