"""Status files: what a supervisor that starts anew must know of every process to find it again.

Not synced to disk: after a crash of the machine the boot differs, and nothing of it is true.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from trivet.errors import TrivetError
from trivet.host import processes
from trivet.host.clock import timestamp
from trivet.host.files import refused
from trivet.model.any_version import read_any_version
from trivet.model.document import canonical
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.run import ProcessState, ProcessStatus
from trivet.run.plan import socket_path

_PID, _START = b'"pid":%d', b'"start_time":%d'
_NO_PID, _NO_START = b'"pid":null', b'"start_time":null'
_LINE_AT = 2048  # two who write at once write equally much, so that nothing of the one sticks out behind the other
_HIGHEST_PID = 2**22  # PID_MAX_LIMIT
_LAST_PORT = 65535
_LATEST_S = 2**33  # the year 2242


@frozen
class Status:
    """One process. `turn` tells apart those of one release and name (a restart starts the new beside the old).

    `pid` and `start_time` (clock ticks since the boot) are None while it waits for its next start. `since` is in
    seconds since the epoch. The port of one that `inherits` is the deploy's; one that `uses_socket` listens on the Unix socket
    in its temporary folder, and has the port only as a name. `planned_s` is the time that a run of something scheduled runs
    for (0: somebody has asked for it; None: it is no run).
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
    inherits: bool = False
    planned_s: float | None = None
    uses_socket: bool = False

    @property
    def name(self) -> str:
        """Unique within the deploy; the file's name without its end."""
        return f"v{self.release}.{self.process}" + (f"+{self.turn}" if self.turn else "")

    @property
    def type(self) -> str:
        """The process type, or what is scheduled: `nightly` of `nightly.1`."""
        return self.process.rpartition(".")[0]

    @property
    def planned(self) -> str | None:
        """The time that a run of something scheduled runs for; None: somebody has asked for it."""
        return timestamp(self.planned_s) if self.planned_s else None

    @property
    def socket(self) -> Path | None:
        """The Unix socket on which it listens; None: it does on its port, if it has one, or is not started yet."""
        return socket_path(Path(self.temporary)) if self.uses_socket and self.temporary else None

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
    _write(f"{folder}/{status.name}.json", canonical(status).encode())


class Announcement:
    """What a process that is yet to be forked will write of itself: whatever becomes of the supervisor, it is found again.

    All but its number and start time is ready. Between a fork and its exec every page that Python touches is copied.
    """

    __slots__ = ("_path", "_text")

    def __init__(self, folder: Path, status: Status) -> None:
        self._path = f"{folder}/{status.name}.json"
        if status.pid is not None or status.start_time is not None:
            status = replace(status, pid=None, start_time=None)
        self._text = canonical(status).encode()

    def begin(self) -> tuple[int, int]:
        """The file says all but that; the kernel's line of a child, put at this place of it, says the rest. Raises: OSError.

        The caller closes the descriptor. Raises: ValueError: there is no room for a line.
        """
        text = self._text
        if len(text) >= _LINE_AT:
            raise ValueError("a long status")
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            _create(self._path, text)
            return os.open(self._path, os.O_WRONLY | os.O_CLOEXEC), _LINE_AT
        _write_over(descriptor, text)
        return descriptor, _LINE_AT

    def write(self) -> None:
        """The calling process is in its file."""
        # What looks like a field in a value is not mistaken for one: there the quotes are escaped.
        text = self._text.replace(_NO_PID, _PID % os.getpid())
        _write(self._path, text.replace(_NO_START, _START % processes.own_start_time()))


def _write(path: str, text: bytes) -> None:
    """In one write over what was there, with spaces to its end: nobody sees half of it, and a full disk has room for it.

    A file that is renamed over another is written out by ext4 there and then: 0.3 ms, now and then 5.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        _create(path, text)
        return
    try:
        _write_over(descriptor, text)
    finally:
        os.close(descriptor)


def _write_over(descriptor: int, text: bytes) -> None:
    os.pwrite(descriptor, _filled(text).ljust(os.lseek(descriptor, 0, os.SEEK_END)), 0)


def _filled(text: bytes) -> bytes:
    return text.ljust(_LINE_AT - 1) + b"\n"


def _create(path: str, text: bytes) -> None:
    folder, _, name = path.rpartition("/")
    temporary = f"{folder}/.{name}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, _filled(text))
        os.rename(temporary, path)  # noqa: PTH104
    except OSError:
        os.unlink(temporary)  # noqa: PTH108
        raise
    finally:
        os.close(descriptor)


def remove(folder: Path, status: Status) -> None:
    """The process has no file."""
    (folder / f"{status.name}.json").unlink(missing_ok=True)


def read_all(folder: Path) -> Iterator[Status]:
    """Every process that has a readable file. One that cannot be read is told on standard error and counts as none."""
    if not folder.is_dir():
        return
    for path in sorted(folder.glob("v*.json")):
        try:
            status = _read(path)
        except TrivetError as error:
            sys.stderr.write(f"trivet: {path} counts as absent: {error}\n")
            continue
        if status is not None and _is_sound(status, path.stem):
            yield status
        elif status is not None:
            sys.stderr.write(f"trivet: {path} counts as absent: it does not say what such a file says\n")


def _read(path: Path) -> Status | None:
    """What the file says, and the kernel's line in it of a child that had not said more yet, or never will."""
    try:
        document, _, rest = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refused(error, f"read {path}") from error
    status = read_any_version(Status, document, name=f"status/{path.name}")
    born = processes.told_by(rest.partition(b"\n")[0]) if status.pid is None else None
    return status if born is None else replace(status, pid=born[0], start_time=born[1])


def _is_sound(status: Status, name: str) -> bool:
    return (
        status.name == name
        and status.release > 0
        and (status.pid is None or 0 < status.pid <= _HIGHEST_PID)
        and (status.port is None or 0 < status.port <= _LAST_PORT)
        and 0 <= status.since <= _LATEST_S
    )
