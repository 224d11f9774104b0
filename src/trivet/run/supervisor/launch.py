"""How the supervisor is started, and where it is found."""

import sys
from pathlib import Path

from trivet.model.home import Home

ALLOW_MUTABLE = "--allow-mutable"
ALTERED = "--altered="  # and a deploy of whose release nothing is to be started


def argv(home: Home, *options: str) -> tuple[str, ...]:
    """The command that runs the supervisor of this home; it ends by itself if one runs already.

    `-I -S -OO`: nothing of the caller's environment, no site-packages, no docstrings in memory.
    """
    return (sys.executable, "-I", "-S", "-OO", str(Path(__file__).parents[1] / "__main__.py"), str(home.root), *options)


def socket_path(home: Home) -> Path:
    """The control socket (mode 0600)."""
    return home.supervisor / "control.sock"


def lock_path(home: Home) -> Path:
    """The file that a living supervisor holds locked with `flock`; it is never removed."""
    return home.supervisor / "supervisor.lock"


def log_path(home: Home) -> Path:
    """Where the supervisor tells of trouble, and of nothing else."""
    return home.supervisor / "supervisor.log"
