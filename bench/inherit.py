"""Requests per second of a process that inherited the deploy's socket, beside the same app without Trivet and relayed.

    apt-get install wrk nginx-light
    .venv/bin/python bench/inherit.py

The app is one nginx worker that answers from memory, so that whatever stands before it shows. `direct` is asked on a socket
that it has opened itself, past the front door; `inherited` was handed one (`socket = "inherit"`), alone and as one of three
processes; `relayed` is `direct` by way of the front door. `without Trivet` was started by this script. One wrk thread, 32
connections, medians of nine rounds of two seconds, each in an order by chance.

On a busy machine requests per second say little. So the last table has the processor time that one connection costs from
`connect` to `close`, both ends in this one process: on a socket of its own, in a group with a program that names it, and in
one that spreads over three.

Goal: inherited at least 0.97 of direct.
"""

import json
import random
import re
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from ports import HOST, free_port, wait_for_port
from shop import Shop, make_shop
from trivet.host import reuseport

ROUNDS = 9
SECONDS = 2
CONNECTIONS = 32
DEADLINE_S = 10.0
LOADS = {"keep-alive": (), "a connection per request": ("-H", "Connection: close")}

SHARES: dict[str, tuple[int, ...]] = {"alone": (), "in a group": (1,), "in a group, one of three": (1, 2, 3)}
CONNECTS = 5000

CONF = """
daemon off; worker_processes 1; pid FOLDER/pid; error_log stderr crit;
events { worker_connections 4096; }
http { access_log off; client_body_temp_path FOLDER/b; proxy_temp_path FOLDER/p; fastcgi_temp_path FOLDER/f;
  uwsgi_temp_path FOLDER/u; scgi_temp_path FOLDER/s; keepalive_requests 1000000;
  server { listen 127.0.0.1:PORT; location / { return 200 "Hello, World!"; } } }
"""
RUN = """
sed "s|FOLDER|$TMPDIR|g; s|PORT|$PORT|" app.conf > "$TMPDIR/app.conf"
[ -z "$LISTEN_FDS" ] || export NGINX="3;"
exec nginx -p "$TMPDIR" -c "$TMPDIR/app.conf"
"""
PROCFILE = "web: exec sh run.sh\n"


def main() -> None:
    """Prints a table for each load."""
    for tool in ("wrk", "nginx"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is missing: apt-get install wrk nginx-light")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        ports = {
            "without Trivet": stack.enter_context(_bare(folder)),
            "inherited": stack.enter_context(_deployed(folder, "inherited", 'socket = "inherit"\n', processes=1)),
            "inherited, three processes": stack.enter_context(
                _deployed(folder, "three", 'socket = "inherit"\n', processes=3)
            ),
            "relayed": stack.enter_context(_deployed(folder, "relayed", "", processes=1)),
            "direct": _own_port(folder / "relayed"),
        }
        for load in LOADS:
            runs = {name: partial(_requests_per_second, port, load) for name, port in ports.items()}
            _print_table(load, _shuffled(runs))
    _print_costs(_shuffled({name: partial(_cost_us, share) for name, share in SHARES.items()}))


def _shuffled(candidates: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Each candidate's figures, one of each a round in an order by chance: what the one leaves behind costs the next."""
    figures: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(ROUNDS):
        for name in random.sample(list(candidates), len(candidates)):
            figures[name].append(candidates[name]())
    return figures


@contextmanager
def _bare(folder: Path) -> Iterator[int]:
    place, port = folder / "bare", free_port()
    place.mkdir()
    (place / "app.conf").write_text(CONF.replace("FOLDER", str(place)).replace("PORT", str(port)))
    process = subprocess.Popen(("nginx", "-p", str(place), "-c", str(place / "app.conf")))
    try:
        wait_for_port(port)
        yield port
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


@contextmanager
def _deployed(folder: Path, name: str, settings: str, *, processes: int) -> Iterator[int]:
    place, port = folder / name, free_port()
    place.mkdir()
    shop: Shop = make_shop(place)
    shop.commit(
        {
            "Procfile": PROCFILE,
            "run.sh": RUN,
            "app.conf": CONF,
            "trivet.toml": f'app = "shop"\n\n[processes.web]\n{settings}',
        }
    )
    try:
        shop.trivet("deploy", "--port", str(port))
        shop.trivet("scale", f"web={processes}")
        wait_for_port(port)
        yield port
    finally:
        shop.trivet("down")


def _own_port(place: Path) -> int:
    """Where the one process listens that the front door relays to."""
    (status,) = (place / "home").glob("apps/*/deploys/*/run/status/v*.web.1.json")
    return int(json.loads(status.read_text())["port"])


def _requests_per_second(port: int, load: str) -> float:
    argv = ("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}", *LOADS[load], f"http://{HOST}:{port}/")
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        sys.exit(done.stdout)
    return float(re.findall(r"Requests/sec:\s+([0-9.]+)", done.stdout)[0])


def _cost_us(share: tuple[int, ...]) -> float:
    """Microseconds of processor time for each connection; `share`: the places in the group that get some, () alone."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(reuseport.listen((HOST, 0), 64, joins=False))]
        reuseport.open_up(sockets[0])
        port = int(sockets[0].getsockname()[1])
        if share:
            reuseport.direct(sockets[0], (0,), {})
            sockets += [stack.enter_context(reuseport.listen((HOST, port), 64, joins=True)) for _ in share]
            reuseport.direct(sockets[0], share, {})
        poll = select.epoll()
        known = {each.fileno(): each for each in sockets}
        for descriptor in known:
            poll.register(descriptor, select.EPOLLIN)
        began = time.process_time()
        for _ in range(CONNECTS):
            caller = socket.create_connection((HOST, port))
            ((descriptor, _),) = poll.poll(DEADLINE_S)
            accepted, _ = known[descriptor].accept()
            accepted.close()
            caller.close()
        spent = time.process_time() - began
        poll.close()
    return spent / CONNECTS * 1e6


def _print_costs(figures: dict[str, list[float]]) -> None:
    alone = statistics.median(figures["alone"])
    print(f"\n{'a connection':<34} {'median':>9} {'least':>9} {'most':>9} {'of alone':>10}   (µs of processor time)")
    for name, costs in figures.items():
        median = statistics.median(costs)
        print(f"{name:<34} {median:9.2f} {min(costs):9.2f} {max(costs):9.2f} {median / alone:10.3f}")


def _print_table(load: str, figures: dict[str, list[float]]) -> None:
    direct = statistics.median(figures["direct"])
    print(f"\n{load:<34} {'median':>9} {'least':>9} {'most':>9} {'of direct':>10}   (requests/s)")
    for name, rates in figures.items():
        median = statistics.median(rates)
        print(f"{name:<34} {median:9.0f} {min(rates):9.0f} {max(rates):9.0f} {median / direct:10.3f}")


if __name__ == "__main__":
    main()
