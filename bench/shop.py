"""A small app in a repository of its own, for measuring what Trivet adds to it."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from measure import TRIVET, time_command

SERVER = """
import http.server, os, signal, threading

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\\n")

    def log_message(self, *arguments):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever(poll_interval=0.02)
"""
FILES = {"server.py": SERVER, "Procfile": "web: python3 server.py\n", "trivet.toml": 'app = "shop"\n'}
_GIT = ("git", "-c", "user.name=Bench", "-c", "user.email=bench@example.org")


@dataclass(frozen=True, slots=True)
class Shop:
    """The app's repository, and the environment in which `trivet` finds a home of its own."""

    repository: Path
    environment: dict[str, str]

    @property
    def whole_environment(self) -> dict[str, str]:
        """Ours, with what makes the home its own."""
        return {**os.environ, **self.environment}

    def trivet(self, *arguments: str) -> float:
        """Seconds that the command took."""
        return time_command((*TRIVET, *arguments), cwd=self.repository, environment=self.environment)

    def commit(self, files: dict[str, str]) -> None:
        """A commit with these files."""
        for name, content in files.items():
            (self.repository / name).write_text(content)
        for arguments in (("add", "--all"), ("commit", "--quiet", "--message=Change")):
            subprocess.run((*_GIT, *arguments), cwd=self.repository, check=True)


def make_shop(folder: Path) -> Shop:
    """The app, committed once, in the folder."""
    # A release before that is kept warm costs as long as it is kept: what that is, is chosen, not measured.
    shop = Shop(folder / "shop", {"TRIVET_HOME": str(folder / "home"), "TRIVET_WARM": "0"})
    shop.repository.mkdir()
    subprocess.run(("git", "init", "--quiet", "--initial-branch=main"), cwd=shop.repository, check=True, env=os.environ)
    shop.commit(FILES)
    return shop
