"""What it costs that config is kept encrypted: sealing, opening, and the environment that the run stage reads.

    .venv/bin/python bench/config.py

Goal: a few milliseconds in a `config set` or a deploy. A config of 30 keys, of 64 characters each.
"""

import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measure import interleave, print_milliseconds
from trivet.host.files import create_once
from trivet.model.config import Config
from trivet.model.document import write_document
from trivet.model.home import Home
from trivet.model.names import parse_deploy
from trivet.release.environment_place import find_environment_place
from trivet.release.environments import Environments
from trivet.release.vault import Vault

ROUNDS = 51


def main() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as folder:
        figures = interleave(_cases(Path(folder)), rounds=ROUNDS)
    print_milliseconds(f"Config at rest, medians of {ROUNDS}", figures)


def _cases(folder: Path) -> dict[str, Callable[[], float]]:
    home = Home(folder / "home")
    home.root.mkdir()
    config = Config({f"KEY_{number}": secrets.token_hex(32) for number in range(30)})
    document, deploy = write_document(config), parse_deploy("shop/production")
    vault = Vault(home)
    sealed = vault.seal(document, is_first=True)
    environments = Environments(home, vault)
    environments.write(deploy, 1, config)
    place = "in memory" if find_environment_place(home).in_memory else "on the disk"
    counter = iter(range(10**6))
    return {
        "import pyrage, in a process of its own": _import,
        "find the key and seal": _timed(lambda: Vault(home).seal(document, is_first=False)),
        "find the key and open": _timed(lambda: Vault(home).open(sealed, name="config")),
        f"write the environment ({place})": _timed(lambda: environments.write(deploy, 1, config)),
        "for comparison: write a file of this size once": _timed(
            lambda: create_once(folder / f"file-{next(counter)}", document.encode(), mode=0o600)
        ),
    }


def _timed(act: Callable[[], object]) -> Callable[[], float]:
    def measure() -> float:
        started = time.perf_counter()
        act()
        return time.perf_counter() - started

    return measure


def _import() -> float:
    """Seconds, as the process itself has measured them."""
    code = "import time; t = time.perf_counter(); import pyrage; print(time.perf_counter() - t)"
    return float(subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
