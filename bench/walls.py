"""What it costs to put a process in its place: its walls at each start, and what is found out once for a release.

    .venv/bin/python bench/walls.py

Prints medians. As root the app is a user of its own.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from trivet.host.sandbox import Sandbox, Walls
from trivet.model.home import Home
from trivet.model.names import AppName, Deploy, DeployName
from trivet.run import desired
from trivet.run.enclosure import Enclosure

_TIMES = 500


def _median_us(act: Callable[[], object]) -> float:
    took = []
    for _ in range(_TIMES):
        start = time.perf_counter()
        act()
        took.append(time.perf_counter() - start)
    return statistics.median(took) * 1_000_000


def main() -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        home, deploy = Home(Path(folder) / "home"), Deploy(AppName("shop"), DeployName("production"))
        desired.make_folders(home, deploy)
        temporary = home.temporary / "one"
        reads = (home.bundle(deploy.app, "b"), *(home.layers / name for name in ("one", "two", "three")))
        for path in (temporary, *reads):
            path.mkdir(parents=True)
        sandbox = Sandbox()
        enclosure = Enclosure(home, sandbox)
        place = enclosure.place(deploy, reads)
        writing = Walls(place.walls(temporary).folders)
        figures = {
            "walls for writing alone, a start": lambda: os.close(sandbox.build(writing)),
            "walls for reading as well, a start": lambda: os.close(sandbox.build(place.walls(temporary))),
            "a place made ready, a release": lambda: enclosure.place(deploy, (*reads,)),
        }
        for name, act in figures.items():
            print(f"{name:34} {_median_us(act):6.0f} us")


main()
