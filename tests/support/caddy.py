"""A real Caddy, with a config, ports and an authority of its own."""

import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from support.command import eventually

PROGRAM = shutil.which("caddy") or shutil.which("caddy", path="/usr/bin:/usr/sbin")


class Caddy:
    """One that runs. `config` is what its admin API says."""

    def __init__(self, folder: Path, ports: tuple[int, int]) -> None:
        self.admin = folder / "admin.sock"
        self.log = folder / "caddy.log"
        self.https_port = ports[1]
        self._folder = folder

    def config(self) -> Any:
        done = subprocess.run(
            (
                "curl",
                "--silent",
                "--fail",
                "--header",
                "Host;",
                "--unix-socket",
                self.admin,
                "http://localhost/config/",
            ),
            capture_output=True,
            check=False,
        )
        return json.loads(done.stdout) if done.returncode == 0 else None

    def is_up(self) -> bool:
        with socket.socket(socket.AF_UNIX) as end, suppress(OSError):
            end.connect(str(self.admin))
            return True
        return False

    def changes(self) -> int:
        """How often its config was changed."""
        lines = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return sum(line.get("msg") == "received request" and line.get("method") == "POST" for line in lines)

    def get(self, domain: str) -> str:
        """The body that the domain answers with, over TLS that its own authority has signed; "" if it does not."""
        root = self._folder / "data" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        try:
            trusting = ssl.create_default_context(cafile=str(root))
            with (
                socket.create_connection(("127.0.0.1", self.https_port), timeout=60) as plain,
                trusting.wrap_socket(plain, server_hostname=domain) as secure,
            ):
                secure.sendall(f"GET / HTTP/1.1\r\nHost: {domain}\r\nConnection: close\r\n\r\n".encode())
                answer = b"".join(iter(lambda: secure.recv(65536), b""))
        except OSError:
            return ""
        head, _, body = answer.partition(b"\r\n\r\n")
        return body.decode() if head.startswith(b"HTTP/1.1 200") else ""


@contextmanager
def running(folder: Path, ports: tuple[int, int], config: Mapping[str, Any] | None = None) -> Iterator[Caddy]:
    """A Caddy that listens on these ports, for HTTP and HTTPS; ended afterwards."""
    folder.mkdir(exist_ok=True)
    caddy = Caddy(folder, ports)
    http: dict[str, Any] = {"http_port": ports[0], "https_port": ports[1], **(config or {})}
    whole = {"admin": {"listen": f"unix/{caddy.admin}"}, "apps": {"http": http}}
    (folder / "config.json").write_text(json.dumps(whole))
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    with caddy.log.open("wb") as log:
        argv = (str(PROGRAM), "run", "--config", folder / "config.json")
        process = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        eventually(caddy.is_up, what="Caddy's start")
        yield caddy
    finally:
        process.terminate()
        process.wait(30)
