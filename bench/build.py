"""What a build costs: five cases, for an app with 10,000 vendored Python files and one with 300 Node packages.

    .venv/bin/python bench/build.py                       # all of it: about a quarter of an hour
    .venv/bin/python bench/build.py --app python --case "one file changed" --case "nothing changed"

Beside each, in the same run: the same work by `docker build` (root, `apt-get install docker.io debootstrap`; its base image
is kept in --work), and the floor: the package tool alone, or `cp` of what changed. Then what builds take on disk.

Goals: one file changed at most 1.0 x docker and 300 ms beyond the app's own build commands; nothing changed at most 150 ms;
a cold build at most 1.10 x the package tool; 100 builds that differ in one file at most 1.05 x the disk of one.
"""

import argparse
import contextlib
import os
import shutil
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cases import CASES, COLD, NOTHING, ONE, Bench, Trivet
from disk import used_bytes
from docker import Docker, docker
from floor import Floor
from measure import print_milliseconds
from sample import make_sample

_WORK = Path(__file__).parent / ".work"
_APPS = ("python", "node")


def main() -> None:
    """Prints a table a case, the goals, and the disk."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the daemon ends with this
    print(f"load average when the run began: {os.getloadavg()[0]:.1f}; processors: {os.cpu_count()}")
    with _docker_if_wanted(options) as engine, tempfile.TemporaryDirectory(dir=options.work) as folder:
        for name in options.app or _APPS:
            bench = _bench(name, Path(folder) / name, engine)
            print(f"\n# {name}, {_vendored(bench)} vendored files", flush=True)
            _measure(bench, options)
            _tell_goals(bench)
            if options.builds:
                _tell_disk(bench, options.builds)
            shutil.rmtree(Path(folder) / name)
    print(f"\nload average when it ended: {os.getloadavg()[0]:.1f}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--app", action="append", choices=_APPS, help="only this app; may be repeated")
    parser.add_argument("--case", action="append", choices=CASES, help="only this case; may be repeated")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold-rounds", type=int, default=3, help="of cold dependencies, which download everything")
    parser.add_argument("--builds", type=int, default=100, help="how many builds the disk is measured with; 0: none")
    parser.add_argument("--without-docker", action="store_true")
    parser.add_argument("--work", type=Path, default=_WORK, help="where docker keeps its base image between runs")
    options = parser.parse_args()
    options.work = options.work.absolute()
    options.work.mkdir(parents=True, exist_ok=True)
    return options


@contextlib.contextmanager
def _docker_if_wanted(options: argparse.Namespace) -> Iterator[Docker | None]:
    if options.without_docker:
        yield None
        return
    with docker(options.work / "docker") as engine:
        yield engine


def _bench(name: str, folder: Path, engine: Docker | None) -> Bench:
    folder.mkdir()
    sample = make_sample(name, folder / "repository")
    (folder / "floor").mkdir()
    bench = Bench(sample, Trivet(sample, folder / "home"), Floor(sample, folder / "floor"), engine)
    bench.make_ready()
    return bench


def _vendored(bench: Bench) -> int:
    app = bench.floor.folder / "app"
    folder = app / (".venv" if bench.sample.name == "python" else "node_modules")
    return sum(len(files) for _, _, files in os.walk(folder))


def _measure(bench: Bench, options: argparse.Namespace) -> None:
    for case in options.case or CASES:
        rounds = options.cold_rounds if case == COLD else options.rounds
        for _ in range(rounds):
            bench.measure(case)
        print_milliseconds(f"{bench.sample.name}: {case}, medians of {rounds}", bench.figures[case])
        sys.stdout.flush()


def _tell_goals(bench: Bench) -> None:
    print()
    medians = {
        case: {name: statistics.median(seconds) for name, seconds in of_case.items()}
        for case, of_case in bench.figures.items()
    }
    for case, of_case in medians.items():
        trivet = of_case["trivet"]
        if case == ONE:
            own = 0.0 if bench.sample.name == "python" else next(reversed(of_case.values()))
            _tell(f"{case}: beyond the app's build commands", (trivet - own) * 1000, 300, "ms")
            if "docker build" in of_case:
                _tell(f"{case}: of docker build", trivet / of_case["docker build"], 1.0, "x")
        if case == NOTHING:
            _tell(case, trivet * 1000, 150, "ms")
        if case == COLD:
            for name in of_case.keys() - {"trivet", "docker build"}:
                _tell(f"{case}: of {name}", trivet / of_case[name], 1.10, "x")


def _tell_disk(bench: Bench, builds: int) -> None:
    """What builds that differ in one file take, and one whose lockfile moves a package. The download cache does not count."""
    home, trivet, sample = bench.trivet.home, bench.trivet, bench.sample
    trivet.forget(downloads=False)
    trivet.build()
    one = _stored_bytes(home)
    changed = 0
    for _ in range(builds - 1):
        sample.change_one()
        trivet.build()
        changed += used_bytes(sample.module(7))
    many = _stored_bytes(home)
    print(f"\n{sample.name}: disk, MB: one build {one / 1e6:.1f}, {builds} builds {many / 1e6:.1f}")
    _tell(f"{builds} builds that differ in one file", many / (one + changed), 1.05, "x")
    sample.move_package()
    before = _parts(home)
    took = trivet.build()
    print(f"one package moved in the lockfile: {took:.1f} s, and on disk, kB:")
    for part, size in _parts(home).items():
        if grown := size - before.get(part, 0):
            print(f"  {part:<12} {grown / 1e3:9.0f}")


def _stored_bytes(home: Path) -> int:
    return used_bytes(*(path for path in home.iterdir() if path.name != "cache"))


def _parts(home: Path) -> dict[str, int]:
    """Bytes by folder; what objects and layers share counts as the objects'."""
    objects, layers = home / "objects", home / "layers"
    apart = {"objects": used_bytes(objects), "layers": used_bytes(objects, layers) - used_bytes(objects)}
    rest = {path.name: used_bytes(path) for path in home.iterdir() if path.name not in (*apart, "cache")}
    return {**apart, **rest}


def _tell(what: str, value: float, goal: float, unit: str) -> None:
    verdict = "reached" if value <= goal else "NOT reached"
    print(f"{what:<70} {value:9.2f} {unit:<2} goal {goal:g}: {verdict}")


if __name__ == "__main__":
    main()
