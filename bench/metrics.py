"""What being measured costs the supervisor: memory, time of a scrape, and death to restart while somebody scrapes.

    .venv/bin/python bench/metrics.py

100 processes, each `sleep`. A restart is timed as in bench/supervisors.py, with and without a scraper that asks again as soon as
it has its answer, in turns.
"""

import os
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keepers import children, name_of, resident_kb, sleepers, spin, supervisor_of, wait
from measure import print_milliseconds
from shop import make_shop

COUNT = 100
SCRAPES = 30
ROUNDS = 11
PAUSE_S = 2.0
PLACE = "127.0.0.1:9180"


def main() -> None:
    """Prints all of it."""
    with tempfile.TemporaryDirectory() as folder:
        shop = make_shop(Path(folder))
        shop.commit(
            {"Procfile": "worker: sleep 100000\n", "trivet.toml": 'app = "shop"\n[processes.worker]\nsettle = 0.1\n'}
        )
        try:
            shop.trivet("deploy")
            shop.trivet("scale", f"worker={COUNT}")
            pid = supervisor_of(Path(folder) / "home")
            wait(lambda: len(sleepers(pid)) == COUNT)
            _measure(pid, lambda: shop.trivet("metrics", "on", PLACE))
        finally:
            shop.trivet("down")


def _measure(pid: int, serve: object) -> None:
    print(f"resident memory, MB, {COUNT} processes")
    print(f"{'nobody was ever told':<44} {resident_kb(pid) / 1000:9.2f}")
    serve()  # type: ignore[operator]
    print(f"{'served':<44} {resident_kb(pid) / 1000:9.2f}")
    before = _cpu_s(pid)
    scrapes = [_scrape() for _ in range(SCRAPES)]
    used_s = (_cpu_s(pid) - before) / SCRAPES
    print(f"{f'after {SCRAPES} scrapes':<44} {resident_kb(pid) / 1000:9.2f}")
    before = _cpu_s(pid)
    time.sleep(10)
    print(
        f"\nCPU of a scrape, ms: {used_s * 1000:.1f}; of ten seconds in which nobody scrapes: {(_cpu_s(pid) - before) * 1000:.0f}"
    )
    restarts: dict[str, list[float]] = {"nobody scrapes": [], "somebody scrapes without a pause": []}
    for _ in range(ROUNDS):
        restarts["nobody scrapes"].append(_restart(pid))
        with _scraping():
            restarts["somebody scrapes without a pause"].append(_restart(pid))
    print_milliseconds("a scrape, whole", {f"{COUNT} processes": scrapes})
    print_milliseconds(f"death to restart, {ROUNDS} kills each", restarts)


def _scrape() -> float:
    time.sleep(0.6)  # within half a second one is given what the one before was
    started = time.perf_counter()
    _read()
    return time.perf_counter() - started


def _read() -> None:
    with urllib.request.urlopen(f"http://{PLACE}/metrics", timeout=20) as answer:
        assert len(answer.read()) > COUNT * 100


def _restart(pid: int) -> float:
    time.sleep(PAUSE_S)
    victim = max(sleepers(pid), key=_age_ticks)
    known = set(children(pid))
    started = time.perf_counter()
    os.kill(victim, signal.SIGKILL)
    spin(lambda: any(name_of(new) == "sleep" for new in set(children(pid)) - known))
    return time.perf_counter() - started


def _age_ticks(pid: int) -> int:
    return -int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


@contextmanager
def _scraping() -> Iterator[None]:
    """A scraper of its own process asks and asks."""
    argv = ("sh", "-c", f"while :; do curl -s -o /dev/null http://{PLACE}/metrics; done")
    with subprocess.Popen(argv, start_new_session=True) as scraper:
        try:
            yield
        finally:
            os.killpg(scraper.pid, signal.SIGKILL)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
