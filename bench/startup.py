"""How long a command takes to start: `trivet --help` and `trivet releases`, beside `git --version` and an empty Python.

    .venv/bin/python bench/startup.py

Goal: under 150 ms each.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

from measure import TRIVET, interleave, print_milliseconds, time_command
from shop import make_shop

ROUNDS = 15


def main() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as folder:
        shop = make_shop(Path(folder))
        try:
            shop.trivet("deploy")
            for number in range(10):
                shop.trivet("config", "set", f"NUMBER={number}")
            run = partial(time_command, cwd=shop.repository, environment=shop.environment)
            figures = interleave(
                {
                    "trivet --help": lambda: run((*TRIVET, "--help")),
                    "trivet releases": lambda: run((*TRIVET, "releases")),
                    "trivet ps": lambda: run((*TRIVET, "ps")),
                    "python -c pass": lambda: run((sys.executable, "-c", "pass")),
                    "git --version": lambda: run(("git", "--version")),
                },
                rounds=ROUNDS,
            )
        finally:
            shop.trivet("down")
    print_milliseconds(f"Command start-up, medians of {ROUNDS}", figures)


if __name__ == "__main__":
    main()
