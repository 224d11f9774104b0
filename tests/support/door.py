"""A real front door with a home and a link of its own; the test plays the supervisor's part."""

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trivet.errors import SupervisorUnreachable
from trivet.model.home import Home
from trivet.run.door import launch
from trivet.run.door.link import Answer, DoorLink, connect

DEADLINE_S = 60.0
DEPLOY = "shop/production"


class FrontDoor:
    """The door's process, its one deploy `shop/production`, and the listening socket that the supervisor keeps."""

    def __init__(self, root: Path, arguments: Sequence[str] = ()) -> None:
        self.home = Home(root)
        self.home.supervisor.mkdir(parents=True, exist_ok=True)
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._arguments = tuple(arguments)
        self.start()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.listening.getsockname()
        return str(host), int(port)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def log(self) -> str:
        return launch.log_path(self.home).read_text()

    def start(self) -> None:
        """A new door is running and the listening socket is its own."""
        self._process = subprocess.Popen((*self._arguments, *launch.argv(self.home)))
        self.link = self._connect()
        self.open(self.listening)

    def upgrade(self, version: str = "2", arguments: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
        """A new door has taken over; the old one, returned, goes on until its last request is answered."""
        argv = (*arguments, *launch.argv(self.home, version, beside=True))
        before, self._process = self._process, self.start_heir(version, argv)
        self._await_end_of_link()
        self.link.close()
        self.link = self._connect()
        return before

    def start_heir(
        self, version: str = "2", arguments: Sequence[str | Path] | None = None, **options: Any
    ) -> "subprocess.Popen[bytes]":
        """A new door, or what these arguments say, is started beside the one that runs; the caller ends it."""
        return subprocess.Popen(
            arguments or (*self._arguments, *launch.argv(self.home, version, beside=True)), **options
        )

    def open(self, listening: socket.socket, deploy: str = DEPLOY) -> None:
        host, port = listening.getsockname()
        request = {"do": "open", "deploy": deploy, "host": host, "port": port}
        assert self.ask(request, (listening.fileno(),)).ok

    def ask(self, request: Mapping[str, Any], fds: Sequence[int] = ()) -> Answer:
        return self.link.ask(request, fds)

    def route(self, *ports: int, release: int = 1, stopped: bool = False, deploy: str = DEPLOY) -> None:
        """New requests go to the processes on these ports."""
        backends = [
            {"process": f"web.{index}", "release": release, "port": port} for index, port in enumerate(ports, 1)
        ]
        assert self.ask({"do": "route", "deploy": deploy, "backends": backends, "stopped": stopped}).ok

    def wait_for_idle(self, port: int) -> tuple[int, int]:
        """The backend on this port, no longer routed to, has no request any more: how many drained, were cut."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            for event in self.link.events():
                if (event["event"], event["deploy"], event["port"]) == ("idle", DEPLOY, port):
                    return event["drained"], event["cut"]
            left = deadline - time.monotonic()
            assert left > 0, f"the backend on port {port} never became idle: {self.status()}"
            select.select([self.link], [], [], left)

    def status(self) -> Mapping[str, Any]:
        return dict(self.ask({"do": "status"}).data["deploys"].get(DEPLOY, {}))

    def in_flight(self) -> int:
        return sum(backend["in_flight"] for backend in self.status()["backends"])

    def kill(self) -> None:
        """The door is gone as by `kill -9`; the supervisor still holds the listening socket."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(DEADLINE_S)
        self.link.close()

    def take_back(self, process: "subprocess.Popen[bytes]") -> None:
        """The door is this one again."""
        self._process = process
        self.link = self._connect()

    def wait(self) -> int:
        """The exit status of the door, which has ended."""
        return self._process.wait(DEADLINE_S)

    def close(self) -> None:
        if self.is_alive:
            self._process.kill()
        self._process.wait(DEADLINE_S)
        self.link.close()
        self.listening.close()

    def memory_bytes(self) -> int:
        """The resident memory of the door's process."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _await_end_of_link(self) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not self.link.ended:
            left = deadline - time.monotonic()
            assert left > 0, "the old door does not hand over"
            select.select([self.link], [], [], left)
            self.link.events()

    def _connect(self) -> DoorLink:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                return connect(self.home)
            except SupervisorUnreachable:
                assert self._process.poll() is None, f"the front door ended with {self._process.returncode}"
                assert time.monotonic() < deadline, "the front door does not listen"
                time.sleep(0.01)
