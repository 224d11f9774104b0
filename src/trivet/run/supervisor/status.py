"""Status files: what a supervisor that starts anew must know of every process to find it again.

Not synced to disk: after a crash of the machine the boot differs, and nothing of it is true.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from trivet.errors import TrivetError
from trivet.host.clock import timestamp
from trivet.model.document import canonical
from trivet.model.names import Deploy
from trivet.model.run import ProcessState, ProcessStatus
from trivet.run import documents

_HIGHEST_PID = 2**22  # PID_MAX_LIMIT
_LAST_PORT = 65535
_LATEST_S = 2**33  # the year 2242


@dataclass(frozen=True, slots=True)
class Status:
    """One process. `turn` tells apart those of one release and name (a restart starts the new beside the old).

    `pid` and `start_time` (clock ticks since the boot) are None while it waits for its next start. `since` is in
    seconds since the epoch.
    """

    release: int
    process: str
    turn: int
    state: ProcessState
    port: int | None
    boot_id: str
    since: float
    pid: int | None = None
    start_time: int | None = None
    temporary: str = ""
    restarts: int = 0
    streak: int = 0
    last_exit: str | None = None

    @property
    def name(self) -> str:
        """Unique within the deploy; the file's name without its end."""
        return f"v{self.release}.{self.process}" + (f"+{self.turn}" if self.turn else "")

    def shown(self, deploy: Deploy, memory_bytes: int | None = None) -> ProcessStatus:
        """As people see it."""
        return ProcessStatus(
            deploy=deploy,
            release=self.release,
            process=self.process,
            state=self.state,
            pid=self.pid,
            port=self.port,
            since=timestamp(self.since),
            restarts=self.restarts,
            memory_bytes=memory_bytes,
            last_exit=self.last_exit,
        )


def write(folder: Path, status: Status) -> None:
    """The process's file says this."""
    # Written between a fork and its exec, where every page that Python touches is copied: as little of it as will do.
    temporary = f"{folder}/.{status.name}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    os.write(descriptor, canonical(status).encode())
    os.close(descriptor)
    os.rename(temporary, f"{folder}/{status.name}.json")  # noqa: PTH104


def write_started(folder: Path, status: Status, start_time: int | None) -> None:
    """The calling process, just forked, is in its own file: whatever becomes of the supervisor, it is found again."""
    write(folder, replace(status, pid=os.getpid(), start_time=start_time))


def remove(folder: Path, status: Status) -> None:
    """The process has no file."""
    (folder / f"{status.name}.json").unlink(missing_ok=True)


def read_all(folder: Path) -> Iterator[Status]:
    """Every process that has a readable file. One that cannot be read is told on standard error and counts as none."""
    if not folder.is_dir():
        return
    for path in sorted(folder.glob("v*.json")):
        try:
            status = documents.read(Status, path, name=f"status/{path.name}")
        except TrivetError as error:
            sys.stderr.write(f"trivet: {path} counts as absent: {error}\n")
            continue
        if status is not None and _is_sound(status, path.stem):
            yield status
        elif status is not None:
            sys.stderr.write(f"trivet: {path} counts as absent: it does not say what such a file says\n")


def _is_sound(status: Status, name: str) -> bool:
    return (
        status.name == name
        and status.release > 0
        and (status.pid is None or 0 < status.pid <= _HIGHEST_PID)
        and (status.port is None or 0 < status.port <= _LAST_PORT)
        and 0 <= status.since <= _LATEST_S
    )
