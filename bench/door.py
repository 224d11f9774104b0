"""The front door beside no door at all, HAProxy, nginx and Caddy, in the same run: requests/s, p99, processor time, memory.

    apt-get install wrk nginx-light haproxy caddy     # haproxy and caddy may be missing; the other two may not
    .venv/bin/python bench/door.py [ROUNDS]

The app behind every door is one nginx worker that answers from memory, so the door is what is measured. One wrk thread,
32 connections, medians of five interleaved rounds of two seconds; every door has one thread. About five minutes.

Goals: at least 0.7 of what HAProxy manages with keep-alive connections and 3 times what Caddy does; at least what HAProxy
manages with a connection per request and with 64 KiB answers; at most 1 kB for an idle connection.
"""

import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ports import HOST, free_port, wait_for_port
from trivet.errors import SupervisorUnreachable
from trivet.model.home import Home
from trivet.run.door import launch, link

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 5
SECONDS = 2
CONNECTIONS = 32
IDLE = 500
DEADLINE_S = 10.0

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
    "keep-alive, no two heads alike": ("/each", ()),
    "a connection per request": ("/", ("Connection: close",)),
    "64 KiB answers, keep-alive": ("/large", ()),
}

# What wrk asks at a path with a script: there each request's fields are unlike all others, and the app's answers, too.
SCRIPTS = {
    "/each": """
local count = 0
request = function()
  count = count + 1
  return wrk.format("GET", "/each?" .. count, {["X-Request-Id"] = "request-" .. count})
end
"""
}
APP = """
daemon off; worker_processes 1; pid app.pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{ access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  keepalive_requests 1000000; open_file_cache max=10;
  server {{ listen {host}:{app}; root {folder}; location = / {{ return 200 "Hello, World!"; }}
    location = /each {{ add_header X-Request-Id $request_id; return 200 "Hello, World!"; }} }} }}
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


CADDY = """
{{
  admin off
  auto_https off
  log {{
    output discard
  }}
}}
http://{host}:{door} {{
  bind {host}
  reverse_proxy {host}:{app}
}}
"""


@dataclass(frozen=True, slots=True)
class Door:
    """Where it listens, and the process that does its work."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """Processor time spent so far, the kernel's for it included."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_bytes(self) -> int:
        """Resident memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Run:
    """What one door did in one round."""

    rate: float
    p99_ms: float
    cpu_us: float


def main() -> None:
    """Prints a table for each load, then one of the memory."""
    for tool in ("wrk", "nginx"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is missing: apt-get install wrk nginx-light haproxy caddy")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "large").write_bytes(b"x" * 65536)
        doors = _start_doors(folder, stack)
        for load in LOADS:
            results: dict[str, list[Run]] = {name: [] for name in doors}
            for _ in range(ROUNDS):
                for name, door in doors.items():
                    results[name].append(_run(door, load))
            _print_table(load, results)
        _print_memory(doors)


def _start_doors(folder: Path, stack: ExitStack) -> dict[str, Door]:
    """The doors by name; all end with the stack."""
    app, ours, *others = (free_port() for _ in range(5))
    ports = {"folder": folder, "host": HOST, "app": app}
    (folder / "app.conf").write_text(APP.format(**ports))
    doors = {"no door": Door(app, stack.enter_context(_running(("nginx", "-p", str(folder), "-c", "app.conf"), app)))}
    doors["trivet"] = Door(ours, stack.enter_context(_our_door(folder / "home", ours, app)))
    rivals = {
        "haproxy": (HAPROXY, ("haproxy", "-q", "-f")),
        "nginx": (NGINX, ("nginx", "-p", str(folder), "-c")),
        "caddy": (
            CADDY,
            ("env", "GOMAXPROCS=1", f"HOME={folder}", "caddy", "run", "--adapter", "caddyfile", "--config"),
        ),
    }
    for (name, (text, argv)), port in zip(rivals.items(), others, strict=True):
        if shutil.which(name):
            path = folder / f"{name}.conf"
            path.write_text(text.format(**ports, door=port))
            doors[name] = Door(port, stack.enter_context(_running((*argv, str(path)), port)))
    return doors


@contextmanager
def _our_door(root: Path, port: int, app: int) -> Iterator[int]:
    """Its pid."""
    home = Home(root)
    home.supervisor.mkdir(parents=True)
    with socket.create_server((HOST, port), backlog=1024) as listening, _process(launch.argv(home)) as pid:
        connection = _connect(home)
        connection.ask({"do": "open", "deploy": "a/b", "host": HOST, "port": port}, (listening.fileno(),))
        backends = [{"process": "web.1", "release": 1, "port": app}]
        connection.ask({"do": "route", "deploy": "a/b", "backends": backends, "stopped": False})
        yield pid
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
def _running(argv: tuple[str, ...], port: int) -> Iterator[int]:
    """The command runs inside the block, and listens on the port from its beginning; the pid that does its work."""
    with _process(argv) as pid:
        wait_for_port(port)
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        yield int(children[0]) if children else pid  # the one worker


@contextmanager
def _process(argv: tuple[str, ...]) -> Iterator[int]:
    process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def _run(door: Door, load: str) -> Run:
    path, fields = LOADS[load]
    options = [argument for field in fields for argument in ("-H", field)]
    options += ["-s", "/dev/stdin"] if path in SCRIPTS else []
    argv = ("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}", "--latency", *options, f"http://{HOST}:{door.port}{path}")
    before = door.cpu_s()
    done = subprocess.run(argv, check=True, capture_output=True, text=True, input=SCRIPTS.get(path, ""))
    spent_s = door.cpu_s() - before
    if "Non-2xx" in done.stdout:
        sys.exit(done.stdout)
    count = int(re.findall(r"(\d+) requests in", done.stdout)[0])
    rate = float(re.findall(r"Requests/sec:\s+([0-9.]+)", done.stdout)[0])
    p99, unit = re.findall(r"99%\s+([0-9.]+)(us|ms|s)", done.stdout)[0]
    return Run(rate, float(p99) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit], spent_s / count * 1e6)


def _print_table(load: str, results: dict[str, list[Run]]) -> None:
    print(f"\n{load:<32} {'requests/s':>11} {'least':>8} {'most':>8} {'p99, ms':>8} {'CPU, µs':>8}")
    for name, runs in results.items():
        rates = [run.rate for run in runs]
        p99_ms, cpu_us = (
            statistics.median(values) for values in zip(*((run.p99_ms, run.cpu_us) for run in runs), strict=True)
        )
        print(
            f"{name:<32} {statistics.median(rates):11.0f} {min(rates):8.0f} {max(rates):8.0f} {p99_ms:8.2f} {cpu_us:8.1f}"
        )
    for name in set(results) & {"haproxy", "caddy"}:
        ratio = statistics.median(
            ours.rate / theirs.rate for ours, theirs in zip(results["trivet"], results[name], strict=True)
        )
        print(f"trivet / {name:<23} {ratio:11.2f}   (median of the rounds' ratios)")


def _print_memory(doors: dict[str, Door]) -> None:
    print(f"\n{'memory':<32} {'resident, MB':>12} {f'B a connection, of {IDLE} idle ones':>40}")
    for name, door in doors.items():
        _open_idle(door, IDLE)()  # whatever is made once is there
        before = door.memory_bytes()
        close = _open_idle(door, IDLE)
        each = (door.memory_bytes() - before) / IDLE
        close()
        print(f"{name:<32} {before / 1e6:12.1f} {each:40.0f}")


def _open_idle(door: Door, count: int) -> Callable[[], None]:
    """So many connections have had an answer each, and wait; the function returned closes them."""
    connections = [socket.create_connection((HOST, door.port), timeout=DEADLINE_S) for _ in range(count)]
    for connection in connections:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}:{door.port}\r\n\r\n".encode())
        answer = b""
        while b"Hello, World!" not in answer:
            answer += connection.recv(65536)

    def close() -> None:
        for connection in connections:
            connection.close()

    return close


if __name__ == "__main__":
    main()
