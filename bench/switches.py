"""What twenty switches in a row lose: Trivet beside stopping and starting, nginx with reload, and HAProxy in HTTP mode.

    apt-get install nginx-light haproxy nodejs puma; scripts/toolchains
    PYTHONPATH=tests .venv/bin/python bench/switches.py [--app NAME]... [--answers N] [--seed N] [--without-others]

Each app has the same eight clients (`tests/support/clients.py`): kept connections and new ones, GET and POST, every answer
compared byte by byte, nothing asked twice. After each switch the release that serves answers N times more before the next
(default: 1,000, so that each app is asked at least 20,000 times).

Trivet does ten deploys, five rollbacks, and five deploys that fail (one that crashes, one that is silent, one whose health
check answers 500, one whose health check fails after the switch; one of them twice), in an order by chance, and its supervisor is
killed twice: once between switches, once in the middle of a deploy. The others are spared that: they do twenty good releases.

stop and start: SIGTERM, wait for the end, start. nginx: the new app is ready, the configuration names it, `nginx -s reload`,
nginx's old workers have ended (or ten seconds are over), then the old app gets its SIGTERM. HAProxy: the new app is ready, the
runtime API makes it `ready` and the old one `drain`, the old one has no session any more, then SIGTERM.
"""

import argparse
import contextlib
import http.client
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ports import HOST, free_port, wait_for_port
from support.command import Trivet, eventually
from support.load import Load, Tally
from support.loaded import APPS, Loaded
from support.repository import Repository
from support.switches import Row, Switching, choose_turns

SWITCHES = 20
WORKERS_END_WITHIN_S = 10.0
DEADLINE_S = 60.0
NGINX = """
worker_processes 1; pid FOLDER/pid; error_log FOLDER/error.log crit; user root;
events { worker_connections 4096; }
http { access_log off; client_body_temp_path FOLDER/b; proxy_temp_path FOLDER/p; fastcgi_temp_path FOLDER/f;
  uwsgi_temp_path FOLDER/u; scgi_temp_path FOLDER/s;
  upstream app { server 127.0.0.1:APP; keepalive 32; }
  server { listen 127.0.0.1:DOOR;
    location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; } } }
"""
HAPROXY = """
global
  stats socket FOLDER/api level admin
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen app
  bind 127.0.0.1:DOOR
  server blue 127.0.0.1:APP
  server green 127.0.0.1:APP disabled
"""


class Instance:
    """One release of the app without Trivet, which answers on its port."""

    def __init__(self, app: Loaded, folder: Path, port: int, number: int) -> None:
        self.port = port
        environment = {"PATH": os.environ["PATH"], "PORT": str(port), "TRIVET_RELEASE": f"v{number}"}
        environment |= {"TMPDIR": str(folder), "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(
            ("sh", "-c", f"exec {app.command}"),
            cwd=folder / "app",
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        eventually(self._answers, deadline_s=DEADLINE_S, what="the app")

    def end(self) -> None:
        """It was told to end, and has; after ten seconds it was killed."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


class Restarted:
    """No door: the old release ends, then the new one starts on the same port."""

    def __init__(self, app: Loaded, folder: Path) -> None:
        self.door = free_port()
        self._app, self._folder, self._number = app, folder, 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """The first release serves."""
        self._now = self._start()
        try:
            yield
        finally:
            self._now.end()

    def switch(self) -> None:
        """The next release serves."""
        self._now.end()
        self._now = self._start()

    @property
    def serving(self) -> str:
        return f"v{self._number}"

    def _start(self) -> Instance:
        self._number += 1
        return Instance(self._app, self._folder, self._port(), self._number)

    def _port(self) -> int:
        return self.door


class BehindNginx(Restarted):
    """nginx, whose configuration is read anew."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """The first release serves."""
        self._now = self._start()
        self._configure()
        self._nginx = subprocess.Popen((*self._argv(), "-g", "daemon off;"))
        try:
            wait_for_port(self.door)
            yield
        finally:
            self._nginx.terminate()
            self._nginx.wait(DEADLINE_S)
            self._now.end()

    def switch(self) -> None:
        """The next release serves."""
        old, self._now = self._now, self._start()
        workers = self._workers()
        self._configure()
        subprocess.run((*self._argv(), "-s", "reload"), check=True, stderr=subprocess.DEVNULL)
        with contextlib.suppress(AssertionError):
            eventually(lambda: not workers & self._workers(), deadline_s=WORKERS_END_WITHIN_S)
        old.end()

    def _port(self) -> int:
        return free_port()

    def _argv(self) -> tuple[str, ...]:
        return ("nginx", "-p", str(self._folder), "-c", str(self._folder / "nginx.conf"))

    def _workers(self) -> set[str]:
        pid = self._nginx.pid
        return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def _configure(self) -> None:
        (self._folder / "nginx.conf").write_text(_filled(NGINX, self._folder, self.door, self._now.port))


class BehindHaproxy(Restarted):
    """HAProxy in HTTP mode with two places, told through its runtime API which one serves."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """The first release serves."""
        self._now, self._place = self._start(), "blue"
        path = self._folder / "haproxy.cfg"
        path.write_text(_filled(HAPROXY, self._folder, self.door, self._now.port))
        haproxy = subprocess.Popen(("haproxy", "-db", "-q", "-f", str(path)))
        try:
            wait_for_port(self.door)
            yield
        finally:
            haproxy.terminate()
            haproxy.wait(DEADLINE_S)
            self._now.end()

    def switch(self) -> None:
        """The next release serves."""
        old, self._now = self._now, self._start()
        before, self._place = self._place, "green" if self._place == "blue" else "blue"
        self._tell(f"set server app/{self._place} addr {HOST} port {self._now.port}")
        self._tell(f"set server app/{self._place} state ready")
        self._tell(f"set server app/{before} state drain")
        eventually(lambda: self._sessions(before) == 0, deadline_s=DEADLINE_S, what="a drained server")
        old.end()
        self._tell(f"set server app/{before} state maint")

    def _port(self) -> int:
        return free_port()

    def _sessions(self, place: str) -> int:
        (row,) = (row for row in self._tell("show stat").splitlines() if row.startswith(f"app,{place},"))
        return int(row.split(",")[4])

    def _tell(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as api:
            api.settimeout(DEADLINE_S)
            api.connect(str(self._folder / "api"))
            api.sendall(command.encode() + b"\n")
            answer = b""
            while data := api.recv(65536):
                answer += data
        return answer.decode()


OTHERS: dict[str, Callable[[Loaded, Path], Restarted]] = {
    "stop and start": Restarted,
    "nginx, reload": BehindNginx,
    "HAProxy, HTTP": BehindHaproxy,
}


def main() -> None:
    """Prints a row for each app as soon as it is known, and then what was lost by its kind."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--app", action="append", choices=list(APPS), help="default: all")
    parser.add_argument("--answers", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--without-others", action="store_true")
    options = parser.parse_args()
    others = {} if options.without_others else OTHERS
    for tool in ("nginx", "haproxy") if others else ():
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is missing: apt-get install nginx-light haproxy")
    print(f"seed {options.seed}; lost / requests; load of the machine {os.getloadavg()[0]:.0f}", flush=True)
    print(f"{'':<36}" + "".join(f"{name:>20}" for name in ("Trivet", *others)), flush=True)
    kinds: list[str] = []
    for name in options.app or APPS:
        print(f"{name:<36}", end="", flush=True)
        tallies = {"Trivet": _print_tally(_switch_with_trivet(APPS[name], options.seed, options.answers))}
        for other, make in others.items() if not APPS[name].inherits else ():
            tallies[other] = _print_tally(_switch_with(make, APPS[name], options.answers))
        print(flush=True)
        kinds += [f"{name}, {other}: {_told(tally)}" for other, tally in tallies.items() if tally.lost]
    print(*kinds, f"load of the machine at the end {os.getloadavg()[0]:.0f}", sep="\n")


def _switch_with_trivet(app: Loaded, seed: int, answers: int) -> Tally:
    with _folder() as folder:
        repository = Repository(folder / "shop")
        trivet = Trivet(folder / "home", repository.path, {"TRIVET_WARM": "0.3"})
        trivet.home.mkdir()
        (trivet.home / "readable").write_text(f"{sys.prefix}\n{sys.base_prefix}\n")
        switching = Switching(trivet, repository, app, seed, answers)
        try:
            with Load(switching.begin(), seed) as load:
                for turn in choose_turns(seed, Row(10, 5, 5, kills=2)):
                    switching.take(turn, load)
                tally = load.stop()
        finally:
            trivet.run("down")
    if bad := {release: count for release, count in tally.answers.items() if release not in switching.shown}:
        sys.exit(f"bad releases answered users: {bad}")
    return tally


def _switch_with(make: Callable[[Loaded, Path], Restarted], app: Loaded, answers: int) -> Tally:
    with _folder() as folder, ExitStack() as stack:
        (folder / "app").mkdir()
        for name, content in app.files.items():
            (folder / "app" / name).write_text(content)
        way = make(app, folder)
        stack.enter_context(way.running())
        load = stack.enter_context(Load(way.door, 1))
        for _ in range(SWITCHES):
            way.switch()
            load.wait_for(way.serving, answers)
        return load.stop()


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def _print_tally(tally: Tally) -> Tally:
    print(f"{f'{tally.lost} / {tally.requests:,}':>20}", end="", flush=True)
    return tally


def _told(tally: Tally) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(tally.failures.items()))


def _filled(text: str, folder: Path, door: int, app: int) -> str:
    return text.replace("FOLDER", str(folder)).replace("DOOR", str(door)).replace("APP", str(app))


if __name__ == "__main__":
    main()
