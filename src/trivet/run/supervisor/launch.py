"""How the supervisor is started, and where it is found."""

import sys
from collections.abc import Mapping
from pathlib import Path

from trivet.model.any_version import read_any_version
from trivet.model.document import canonical
from trivet.model.home import Home
from trivet.model.release import Act

ALLOW_MUTABLE = "--allow-mutable"
ALTERED = "--altered="  # and a deploy of whose release nothing is to be started
VERSION = "--version="  # and what `code.installed` says
TAKE_OVER = "--take-over"  # from the supervisor that runs
FOREGROUND = "--foreground"  # an init system knows it by its process, which must stay the same
INHERIT = "--inherit="  # and the descriptors of the lock and the control socket: of what this process was before
TRY = "--try"  # whether it could run; then it ends

_BY = "TRIVET_BY"


def argv(home: Home, *options: str) -> tuple[str, ...]:
    """The command that runs the supervisor of this home; it ends by itself if one runs already.

    `-I -S -OO`: nothing of the caller's environment, no site-packages, no docstrings in memory.
    """
    return (sys.executable, "-I", "-S", "-OO", str(Path(__file__).parents[1] / "__main__.py"), str(home.root), *options)


def environment_saying(by: Act | None) -> Mapping[str, str]:
    """What tells the supervisor who starts it, and why: in its environment, since every user sees what is in an argv."""
    return {} if by is None else {_BY: canonical(by)}


def said_by(environment: Mapping[str, str]) -> Act | None:
    """Who starts the supervisor that has this environment, if they said. Raises: InvalidDocument."""
    text = environment.get(_BY)
    return None if text is None else read_any_version(Act, text, name=_BY)


def socket_path(home: Home) -> Path:
    """The control socket (mode 0600)."""
    return home.supervisor / "control.sock"


def lock_path(home: Home) -> Path:
    """The file that a living supervisor holds locked with `flock`; it is never removed."""
    return home.supervisor / "supervisor.lock"


def log_path(home: Home) -> Path:
    """Where the supervisor tells of trouble, and of nothing else."""
    return home.supervisor / "supervisor.log"
