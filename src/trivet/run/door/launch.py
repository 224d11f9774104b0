"""How the front door is started, and where it is found."""

import sys
from pathlib import Path

from trivet.model.home import Home
from trivet.run.door.option import BESIDE


def argv(home: Home, version: str = "", *, beside: bool = False) -> tuple[str, ...]:
    """The command that runs the front door of this home in the foreground; it ends by itself if one runs already.

    `-I -S -OO`: nothing of the caller's environment, no site-packages, no docstrings in memory. It is given the one
    folder it works in, which exists, and says which `version` it was started as. `beside`: one
    runs, and hands over to this one.
    """
    program = (sys.executable, "-I", "-S", "-OO", str(Path(__file__).parent / "__main__.py"), str(home.supervisor))
    return (*program, *((version,) if version else ()), *((BESIDE,) if beside else ()))


def socket_path(home: Home) -> Path:
    """The control socket that the supervisor connects to (mode 0600)."""
    return home.supervisor / "door.sock"


def lock_path(home: Home) -> Path:
    """The file that a living front door holds locked with `flock`; it is never removed."""
    return home.supervisor / "door.lock"


def log_path(home: Home) -> Path:
    """Where the front door tells of trouble, and of nothing else."""
    return home.supervisor / "door.log"
