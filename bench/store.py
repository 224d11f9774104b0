"""What it costs to store 15,000 files, the same with one changed, to check them out again; and the disk of 100 builds.

    .venv/bin/python bench/store.py

Beside `cp -a` and `cp -al` of the same tree in the same run. Goals: 1 s for a new tree, 100 ms for one changed file in it; 100
builds that differ in one file take at most 1.05 times the disk of one, plus what changed.
"""

import contextlib
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measure import interleave, print_milliseconds
from trivet.build.pruning import Removal, prune
from trivet.build.store import Store
from trivet.host.files import remove_tree
from trivet.model.build import Layer
from trivet.model.home import Home

ROUNDS = 5
FILES, FOLDERS = 15_000, 4_700
BUILDS = 100
AT = 1_700_000_000


def main() -> None:
    """Prints the tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            _print_times(folder, make_tree(folder / "tree", FILES, FOLDERS))
            _print_disk(folder, make_tree(folder / "small", FILES // 5, FOLDERS // 5))
        finally:
            remove_tree(folder / "home")


def make_tree(folder: Path, files: int, folders_count: int) -> Path:
    """Files as in a Python app's dependencies: 17 kB each on average, half of them below 4 KiB, a few hundred empty."""
    dice = random.Random(3)
    folders = [folder]
    folder.mkdir()
    for number in range(folders_count):
        above = folders[dice.randrange(max(0, len(folders) - 300), len(folders))] if number % 3 else folder
        above = above if len(above.relative_to(folder).parts) < 7 else folder
        folders.append(above / f"folder{number}")
        folders[-1].mkdir()
    for number in range(files):
        size = 0 if number % 40 == 0 else min(6_000_000, int(dice.lognormvariate(8.3, 1.7)))
        (dice.choice(folders) / f"file{number}.py").write_bytes(dice.randbytes(size))
    return folder


def _print_times(folder: Path, tree: Path) -> None:
    size = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file())
    print(f"{FILES} files, {FOLDERS} folders, {size / 1e6:.0f} MB")
    bench = _Bench(folder, tree)
    figures = interleave(
        {
            "cp -a": lambda: bench.command("cp", "-a"),
            "cp -al": lambda: bench.command("cp", "-al"),
            "store, nothing stored before": bench.store_new,
            "store, of data not on disk yet": lambda: bench.store_new(is_synced=False),
            "store, the same tree again": bench.store_same,
            "store, one file of it changed": bench.store_changed,
            "check out a stored tree": bench.check_out,
        },
        rounds=ROUNDS,
    )
    print_milliseconds(f"Storing, medians of {ROUNDS}", figures)


class _Bench:
    """One home, and copies of the tree to be stored in it."""

    def __init__(self, folder: Path, tree: Path) -> None:
        self._folder = folder
        self._tree = tree
        self._home = Home(folder / "home")
        self._counter = 0

    def command(self, *argv: str) -> float:
        target = self._folder / "copy"
        os.sync()
        taken = _time(lambda: subprocess.run((*argv, self._tree, target), check=True))
        remove_tree(target)
        return taken

    def store_new(self, *, is_synced: bool = True) -> float:
        remove_tree(self._home.root)
        copy = self._copy(is_synced=is_synced)
        return _time(lambda: Store(self._home).keep(copy, "app", AT))

    def store_same(self) -> float:
        self._store_once()
        copy = self._copy()
        return _time(lambda: Store(self._home).keep(copy, "app", AT))

    def store_changed(self) -> float:
        self._store_once()
        self._counter += 1
        copy = self._copy()
        (copy / "changed.py").write_text(str(self._counter))
        return _time(lambda: Store(self._home).keep(copy, "app", AT))

    def check_out(self) -> float:
        layer = self._store_once()
        remove_tree(Store(self._home).path(layer.digest))
        return _time(lambda: Store(self._home).obtain(layer.digest))

    def _store_once(self) -> Layer:
        return Store(self._home).keep(self._copy(), "app", AT)

    def _copy(self, *, is_synced: bool = True) -> Path:
        self._home.scratch.mkdir(parents=True, exist_ok=True)
        target = self._home.scratch / f"copy{time.monotonic_ns()}"
        shutil.copytree(self._tree, target)
        if is_synced:
            os.sync()
        return target


def _print_disk(folder: Path, tree: Path) -> None:
    """Builds of one layer, the worst case; all but the newest without a checkout, as pruning does."""
    home = Home(folder / "disk")
    layers: list[Layer] = []
    figures: list[int] = []
    with contextlib.suppress(FileNotFoundError):
        remove_tree(home.root)
    for number in range(BUILDS):
        home.scratch.mkdir(parents=True, exist_ok=True)
        copy = home.scratch / f"copy{number}"
        subprocess.run(("cp", "-a", tree, copy), check=True)
        (copy / "changed.py").write_text(f"{number:04}" * 500)
        layers.append(Store(home).keep(copy, "app", AT))
        if number:
            prune(home, Removal(frozenset({layers[-2].digest}), frozenset(), frozenset(), frozenset()))
        if number in (0, BUILDS - 1):
            figures.append(_disk(home.root))
    one, all_of_them = figures
    print(
        f"\nDisk: one build {one / 1e6:.1f} MB, {BUILDS} builds {all_of_them / 1e6:.1f} MB, {all_of_them / one:.3f} times"
    )
    remove_tree(home.root)


def _disk(folder: Path) -> int:
    return 1024 * int(
        subprocess.run(("du", "-sk", folder), check=True, capture_output=True, text=True).stdout.split()[0]
    )


def _time(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
