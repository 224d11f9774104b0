"""Memory, processor time when idle, restart after a crash, start of a hundred: Trivet beside its peers, in the same run.

    .venv/bin/python bench/supervisors.py [memory] [idle] [restart] [start] [trivet] [runit] …

Installs supervisord, circus and honcho from PyPI into a temporary environment; runit and s6 are measured if they are there
(`apt-get install runit s6`). Every process is `sleep`; honcho never restarts, and is not started 500 times (9 GB).

Memory and idle time are of all processes that are the supervisor's own: runit and s6 have one for each process, honcho too.
A restart is timed from SIGKILL until the supervisor has another child that runs `sleep`; each kill hits another process.
A start is timed until the last of 100 processes runs `sleep`: from the start of the daemon, and for Trivet also from
`trivet up`, and from the request of `trivet start` to a supervisor that runs.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from keepers import (
    Keeper,
    children,
    descendants,
    install,
    keepers,
    name_of,
    shop_of,
    sleepers,
    spin,
    supervisor_of,
    wait,
)
from trivet.model.home import Home
from trivet.model.names import parse_deploy
from trivet.run import Machine
from trivet.run.supervisor import launch

COUNTS = (1, 10, 100, 500)
KILLS = 50
KILLS_OF_THE_SLOW = 20
SLOW = ("supervisord", "circus", "s6")  # a second and more for each
PAUSE_S = 0.5
IDLE_S = 5.0
STARTED = 100
ROUNDS = 5


def main() -> None:
    """Prints the tables asked for, of the supervisors asked for; or all."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        here = keepers(install(Path(folder)), Path(folder))
        found = {name: keep for name, keep in here.items() if name in sys.argv} or here
        for name in {"runit", "s6"} - set(here):
            print(f"{name} is not here: apt-get install {name}")
        tables: Mapping[str, Callable[[dict[str, Keeper]], None]] = {
            "memory": _print_memory,
            "idle": _print_idle,
            "restart": _print_restarts,
            "start": lambda all_of_them: _print_starts(all_of_them, Path(folder)),
        }
        for name in [name for name in sys.argv if name in tables] or tables:
            print(f"load {os.getloadavg()[0]:.1f}")
            tables[name](found)


def _print_memory(found: dict[str, Keeper]) -> None:
    print(f"{'':<14} " + " ".join(f"{count:>15}" for count in COUNTS) + "   processes: resident (proportional) MB")
    for name, keep in found.items():
        counts = COUNTS[:-1] if name == "honcho" else COUNTS
        print(f"{name:<14} " + " ".join(f"{_memory(keep, count):>15}" for count in counts), flush=True)


def _memory(keep: Keeper, count: int) -> str:
    with keep(count) as pid:
        wait(lambda: len(sleepers(pid)) == count)
        time.sleep(1.0)
        own = _own(pid)
        resident, proportional = (sum(_smaps_kb(each, what) for each in own) / 1000 for what in ("Rss:", "Pss:"))
        return f"{resident:.1f} ({proportional:.1f})"


def _print_idle(found: dict[str, Keeper]) -> None:
    print(f"{'':<14} {'ms a second':>12}   processor time with {STARTED} processes, over {IDLE_S:g} s")
    for name, keep in found.items():
        with keep(STARTED) as pid:
            wait(lambda pid=pid: len(sleepers(pid)) == STARTED)  # type: ignore[misc]
            time.sleep(3.0)
            own = _own(pid)
            before = sum(map(_ran_ms, own))
            time.sleep(IDLE_S)
            print(f"{name:<14} {(sum(map(_ran_ms, own)) - before) / IDLE_S:12.3f}", flush=True)


def _print_restarts(found: dict[str, Keeper]) -> None:
    print(f"{'':<14} {'kills':>6} {'median':>9} {'p99':>9} {'least':>9} {'most':>9}   death to restart, ms")
    for name, keep in found.items():
        if name == "honcho":
            print(f"{name:<14} never restarts")
            continue
        taken = sorted(_restarts(keep, KILLS_OF_THE_SLOW if name in SLOW else KILLS))
        row = (
            statistics.median(taken),
            statistics.quantiles(taken, n=100, method="inclusive")[98],
            taken[0],
            taken[-1],
        )
        print(f"{name:<14} {len(taken):6} " + " ".join(f"{figure:9.2f}" for figure in row), flush=True)


def _restarts(keep: Keeper, kills: int) -> list[float]:
    with keep(kills) as pid:
        wait(lambda: len(sleepers(pid)) == kills)
        time.sleep(2.0)
        taken = []
        for victim in sorted(sleepers(pid)):
            parent = _parent(victim)
            known = set(children(parent))
            started = time.perf_counter()
            os.kill(victim, signal.SIGKILL)
            spin(lambda parent=parent, known=known: any(name_of(n) == "sleep" for n in set(children(parent)) - known))  # type: ignore[misc]
            taken.append((time.perf_counter() - started) * 1000)
            time.sleep(PAUSE_S)
        return taken


def _print_starts(found: dict[str, Keeper], folder: Path) -> None:
    print(f"{'':<30} {'median':>9} {'least':>9} {'most':>9}   start of {STARTED} processes, ms, {ROUNDS} rounds")
    own = folder / "started"
    own.mkdir()
    with shop_of(own, STARTED) as shop:
        home = Home(own / "home")
        machine, deploy = Machine(home), parse_deploy("shop/production")
        pid = [supervisor_of(home.root)]

        def end() -> None:
            shop.trivet("down")
            time.sleep(1.0)

        def restart() -> None:
            machine.stop(deploy)
            wait(lambda: not sleepers(pid[0]))
            time.sleep(1.0)

        def find() -> int:
            pid[0] = supervisor_of(home.root)
            return pid[0]

        # What `trivet up` starts, as the peers are started.
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        start = lambda: subprocess.Popen(launch.argv(home), **options)  # type: ignore[call-overload] # noqa: E731
        _print_times("trivet: its supervisor", [_started(end, start, lambda child: child.pid) for _ in range(ROUNDS)])
        up = [_started(end, _aside(lambda: shop.trivet("up")), lambda _: find()) for _ in range(ROUNDS)]
        _print_times("trivet up", up)
        find()
        request = _aside(lambda: machine.start(deploy))
        _print_times("trivet start: the request", [_started(restart, request, lambda _: pid[0]) for _ in range(ROUNDS)])
    for name, keep in found.items():
        if name != "trivet":
            _print_times(name, [_launched(keep) for _ in range(ROUNDS)])


def _started(before: Callable[[], None], start: Callable[[], object], find: Callable[..., int]) -> float:
    before()
    begun = time.perf_counter()
    made = start()
    pid: list[int] = []

    def is_there() -> bool:
        if not pid:
            try:
                pid.append(find(made))
            except LookupError:
                return False
        return len(sleepers(pid[0])) == STARTED

    spin(is_there, every_s=0.002)
    return (time.perf_counter() - begun) * 1000


def _aside(action: Callable[[], object]) -> Callable[[], object]:
    return lambda: threading.Thread(target=action).start()


def _launched(keep: Keeper) -> float:
    with keep(STARTED) as pid:
        begun = _began(pid)
        spin(lambda: len(sleepers(pid)) == STARTED, every_s=0.002)
        return (time.clock_gettime(time.CLOCK_BOOTTIME) - begun) * 1000


def _print_times(name: str, taken: list[float]) -> None:
    row = (statistics.median(taken), min(taken), max(taken))
    print(f"{name:<30} " + " ".join(f"{figure:9.0f}" for figure in row), flush=True)


def _own(pid: int) -> list[int]:
    return [process for process in descendants(pid) if name_of(process) != "sleep"]


def _began(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _smaps_kb(pid: int, what: str) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(what)), 0)


def _ran_ms(pid: int) -> float:
    return sum(int(each.read_text().split()[0]) for each in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e6


if __name__ == "__main__":
    main()
