"""What a deploy with nothing to build, a config change and a rollback cost beyond the time the app itself needs to answer.

    .venv/bin/python bench/flows.py

Goal: under 300 ms each. The app's own time is measured in the same run: the same command, started by hand, until it answers.
"""

import os
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from measure import interleave, print_milliseconds
from ports import free_port
from shop import Shop, make_shop

ROUNDS = 11


def main() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as folder:
        shop = make_shop(Path(folder))
        counter = iter(range(1000))
        try:
            shop.trivet("deploy")
            figures = interleave(
                {
                    "the app alone, until it answers": lambda: _start_alone(shop),
                    "trivet deploy, nothing to build": lambda: shop.trivet("deploy"),
                    "trivet config set": lambda: shop.trivet("config", "set", f"NUMBER={next(counter)}"),
                    "trivet rollback": lambda: shop.trivet("rollback", "--yes"),
                },
                rounds=ROUNDS,
            )
        finally:
            shop.trivet("down")
    print_milliseconds(f"Flows, wall time of the whole command, medians of {ROUNDS}", figures)
    alone = statistics.median(figures.pop("the app alone, until it answers"))
    print_milliseconds(
        "The same beyond what the app itself needs (goal: under 300)",
        {name: [seconds - alone for seconds in taken] for name, taken in figures.items()},
    )


def _start_alone(shop: Shop) -> float:
    port = free_port()
    started = time.perf_counter()
    environment = {**os.environ, "PORT": str(port)}
    with subprocess.Popen(("python3", "server.py"), cwd=shop.repository, env=environment) as process:
        _wait_for_answer(port)
        took = time.perf_counter() - started
        process.send_signal(signal.SIGTERM)
    return took


def _wait_for_answer(port: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.002)
    raise TimeoutError("the app did not answer")


if __name__ == "__main__":
    main()
