"""What every process of the supervisor's needs to be started and kept: the loop, the walls, ports, logs, folders."""

import contextlib
import os
import resource
from pathlib import Path

from trivet.host.cgroups import Cgroups
from trivet.host.clone import Cloner
from trivet.host.files import make_directories
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.release import Act
from trivet.run.enclosure import Enclosure
from trivet.run.supervisor.cradle import Cradle
from trivet.run.supervisor.journal import Journal
from trivet.run.supervisor.leftovers import Leftovers
from trivet.run.supervisor.log_room import LogRoom
from trivet.run.supervisor.loop import Loop
from trivet.run.supervisor.ports import Ports


@frozen
class Yard:
    """One supervisor's surroundings. `version` is what it was started as; `in_foreground`: by an init system.

    `open_files` is the soft limit that processes get, as it was before ours rose. `altered` are the deploys
    ("shop/production") whose build whoever starts us found altered: nothing of them is started. `by` is whoever
    started us, if they said.
    """

    home: Home
    loop: Loop
    enclosure: Enclosure
    ports: Ports
    logs: LogRoom
    leftovers: Leftovers
    journal: Journal
    boot_id: str
    open_files: int
    cgroups: Cgroups
    cloner: Cloner
    cradle: Cradle
    version: str
    in_foreground: bool
    altered: frozenset[str] = frozenset()
    by: Act | None = None

    def make_temporary(self, before: str = "") -> Path:
        """An empty folder of a process's own, the one of before if it is. The path is short: Unix sockets lie in it."""
        if before:
            with contextlib.suppress(OSError):
                if not os.listdir(before):  # noqa: PTH208 - for each start
                    os.chmod(before, 0o700)  # noqa: PTH101
                    return Path(before)
        path = self.home.temporary / os.urandom(5).hex()
        try:
            os.mkdir(path, 0o700)  # noqa: PTH102 - for each start
        except FileNotFoundError:
            make_directories(self.home.temporary, mode=0o711)
            path.mkdir(mode=0o700)
        return path


def raise_open_files() -> int:
    """We may open as many files as the kernel lets us: one a process. The limit as it was, for the processes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft
