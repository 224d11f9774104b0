"""Medians of repeated runs, side by side. Ratios mean something on a shared machine; single figures do not."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

TRIVET = (str(Path(sys.executable).parent / "trivet"),)


def time_command(
    argv: Sequence[str], *, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> float:
    """Seconds of wall time that a command took. Raises: CalledProcessError."""
    started = time.perf_counter()
    subprocess.run(argv, cwd=cwd, env={**os.environ, **(environment or {})}, check=True, capture_output=True)
    return time.perf_counter() - started


def interleave(candidates: Mapping[str, Callable[[], float]], *, rounds: int) -> dict[str, list[float]]:
    """Each candidate's figures, one of each a round, so that a busy moment of the machine strikes all of them."""
    figures: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            figures[name].append(run())
    return figures


def print_milliseconds(title: str, figures: Mapping[str, Sequence[float]]) -> None:
    """A table of medians and extremes, in ms."""
    print(f"\n{title}\n{'':<44} {'median':>9} {'least':>9} {'most':>9}  (ms)")
    for name, seconds in figures.items():
        row = (statistics.median(seconds), min(seconds), max(seconds))
        print(f"{name:<44} " + " ".join(f"{figure * 1000:9.1f}" for figure in row))
