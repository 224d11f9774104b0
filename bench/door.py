"""Requests per second through the front door, beside no door at all, HAProxy and nginx, in the same run.

    apt-get install wrk nginx-light haproxy        # haproxy may be missing; the other two may not
    .venv/bin/python bench/door.py

The app behind every door is one nginx worker that answers from memory, so the door is what is measured. One wrk thread,
32 connections, medians of five interleaved rounds of two seconds: about two and a half minutes.

Goal: at least half of what HAProxy manages with keep-alive connections.
"""

import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from measure import interleave
from trivet.errors import SupervisorUnreachable
from trivet.model.home import Home
from trivet.run.door import launch, link

ROUNDS = 5
SECONDS = 2
CONNECTIONS = 32
DEADLINE_S = 10.0
HOST = "127.0.0.1"

LOADS = {
    "keep-alive": ("/", ()),
    "keep-alive, a browser's fields": (
        "/",
        (
            "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "Accept-Language: en-US,en;q=0.5",
            "Accept-Encoding: gzip, deflate, br",
            "Connection: keep-alive",
            "Cookie: sessionid=abcdefghijklmnopqrstuvwxyz0123456789; csrftoken=abcdefghijklmnopqrstuvwxyz",
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            "Upgrade-Insecure-Requests: 1",
            "Sec-Fetch-Dest: document",
            "Sec-Fetch-Mode: navigate",
        ),
    ),
    "a connection per request": ("/", ("Connection: close",)),
    "64 KiB answers, keep-alive": ("/large", ()),
}

APP = """
daemon off; worker_processes 1; pid app.pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{ access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  keepalive_requests 1000000; open_file_cache max=10;
  server {{ listen {host}:{app}; root {folder}; location = / {{ return 200 "Hello, World!"; }} }} }}
"""
NGINX = """
daemon off; worker_processes 1; pid nginx.pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{ access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  keepalive_requests 1000000; upstream app {{ server {host}:{app}; keepalive 64; keepalive_requests 1000000; }}
  server {{ listen {host}:{door}; location / {{ proxy_pass http://app; proxy_http_version 1.1;
    proxy_set_header Connection ""; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }} }} }}
"""
HAPROXY = """
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  option forwardfor
  http-reuse always
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen door
  bind {host}:{door}
  server app {host}:{app}
"""


def main() -> None:
    """Prints a table for each load."""
    for tool in ("wrk", "nginx"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is missing: apt-get install wrk nginx-light haproxy")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "large").write_bytes(b"x" * 65536)
        doors = _start_doors(folder, stack)
        for load in LOADS:
            runs = {name: partial(_requests_per_second, port, load) for name, port in doors.items()}
            _print_table(load, interleave(runs, rounds=ROUNDS))


def _start_doors(folder: Path, stack: ExitStack) -> dict[str, int]:
    """The ports by the doors' names; all end with the stack."""
    app, nginx, haproxy, ours = (_free_port() for _ in range(4))
    ports = {"folder": folder, "host": HOST, "app": app}
    (folder / "app.conf").write_text(APP.format(**ports))
    (folder / "nginx.conf").write_text(NGINX.format(**ports, door=nginx))
    (folder / "haproxy.conf").write_text(HAPROXY.format(**ports, door=haproxy))
    stack.enter_context(_running(("nginx", "-p", str(folder), "-c", "app.conf"), app))
    stack.enter_context(_our_door(folder / "home", ours, app))
    stack.enter_context(_running(("nginx", "-p", str(folder), "-c", "nginx.conf"), nginx))
    doors = {"no door": app, "trivet": ours, "nginx": nginx}
    if shutil.which("haproxy"):
        stack.enter_context(_running(("haproxy", "-q", "-f", str(folder / "haproxy.conf")), haproxy))
        doors["haproxy"] = haproxy
    return doors


@contextmanager
def _our_door(root: Path, port: int, app: int) -> Iterator[None]:
    home = Home(root)
    home.supervisor.mkdir(parents=True)
    with socket.create_server((HOST, port), backlog=1024) as listening, _process(launch.argv(home)):
        connection = _connect(home)
        connection.ask({"do": "open", "deploy": "a/b", "host": HOST, "port": port}, (listening.fileno(),))
        backends = [{"process": "web.1", "release": 1, "port": app}]
        connection.ask({"do": "route", "deploy": "a/b", "backends": backends, "stopped": False})
        yield
        connection.close()


def _connect(home: Home) -> link.DoorLink:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            return link.connect(home)
        except SupervisorUnreachable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@contextmanager
def _running(argv: tuple[str, ...], port: int) -> Iterator[None]:
    """The command runs inside the block, and listens on the port from its beginning."""
    with _process(argv):
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                socket.create_connection((HOST, port), timeout=1).close()
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        yield


@contextmanager
def _process(argv: tuple[str, ...]) -> Iterator[None]:
    process = subprocess.Popen(argv)
    try:
        yield
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def _requests_per_second(port: int, load: str) -> float:
    path, fields = LOADS[load]
    options = [argument for field in fields for argument in ("-H", field)]
    argv = ("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}", *options, f"http://{HOST}:{port}{path}")
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    if "Non-2xx" in done.stdout:
        sys.exit(done.stdout)
    return float(re.findall(r"Requests/sec:\s+([0-9.]+)", done.stdout)[0])


def _print_table(load: str, figures: dict[str, list[float]]) -> None:
    direct = statistics.median(figures["no door"])
    print(f"\n{load:<34} {'median':>9} {'least':>9} {'most':>9} {'of direct':>10}   (requests/s)")
    for name, rates in figures.items():
        median = statistics.median(rates)
        print(f"{name:<34} {median:9.0f} {min(rates):9.0f} {max(rates):9.0f} {median / direct:10.2f}")


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
