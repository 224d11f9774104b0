"""The processes of this home by what their environment says, for those that no status file accounts for.

A file that was damaged or removed must not leave its process running unseen, with a second one beside it.
"""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from trivet.host import processes
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.run import ProcessState
from trivet.run import users
from trivet.run.plan import socket_path
from trivet.run.supervisor.status import Status

_ONE_OFF = "run-"  # its temporary folder's name begins with this, and whoever started it ends it
_RELEASE = re.compile(r"v([1-9][0-9]{0,8})")
_PROCESS = re.compile(r"[A-Za-z0-9_-]{1,40}\.[0-9]{1,5}")
_PORT = re.compile(r"[0-9]{1,5}")


@frozen
class Stray:
    """A process, and what its environment says of it. `started`: in clock ticks since the boot; `leads`: its session."""

    pid: int
    started: int
    leads: bool
    temporary: str
    deploy: str
    release: str
    process: str
    port: str
    inherits: bool

    def as_status(self, boot_id: str, turn: int, *, wanted: bool) -> Status | None:
        """What its file would say; not wanted: it is to end. None if it does not say enough, or only was started by one."""
        release = _RELEASE.fullmatch(self.release)
        if not self.leads or release is None or not _PROCESS.fullmatch(self.process):
            return None
        return Status(
            release=int(release[1]),
            process=self.process,
            turn=turn,
            state=ProcessState.RUNNING if wanted else ProcessState.STOPPING,
            port=int(self.port) if _PORT.fullmatch(self.port) else None,
            boot_id=boot_id,
            since=time.time(),
            pid=self.pid,
            start_time=self.started,
            temporary=self.temporary,
            inherits=self.inherits,
            uses_socket=self._socket_holder() is not None,
        )

    def listens(self) -> bool:
        """Whether it, or what it has started, listens where it was told to."""
        if self._socket_holder() is not None:
            return True
        if not _PORT.fullmatch(self.port):
            return False
        return int(self.port) in processes.listening_ports(processes.session_members(self.pid))

    def _socket_holder(self) -> int | None:
        members = processes.session_members(self.pid)
        return processes.socket_listener(members, str(socket_path(Path(self.temporary))))

    def end(self) -> None:
        """It is killed."""
        pidfd = processes.find_again(self.pid, self.started)
        if pidfd is not None:
            processes.send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)


def find(home: Home) -> tuple[Stray, ...]:
    """Every process whose temporary folder is one of this home's, but one-offs; the oldest first."""
    found = (stray for stray in find_all(home) if not _is_one_off(stray))
    return tuple(sorted(found, key=lambda stray: (stray.started, stray.pid)))


def find_all(home: Home) -> Iterator[Stray]:
    """Every process whose temporary folder is one of this home's, and whose user is its app's.

    A process may say of itself what it likes: one of another app's could be taken for what serves this one.
    """
    users_of: dict[str, frozenset[int]] = {}
    root = f"{home.temporary}/"
    needle = f"TMPDIR={root}".encode()
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdecimal() and needle in (text := processes.environment(int(name))):
            stray = _read(int(name), dict(_pairs(text)))
            if stray is not None and stray.temporary.startswith(root) and _is_of_its_app(home, stray, users_of):
                yield stray


def _is_of_its_app(home: Home, stray: Stray, known: dict[str, frozenset[int]]) -> bool:
    app = stray.deploy.partition("/")[0]
    if app not in known:
        known[app] = users.numbers_of(home, app)
    return processes.user_of(stray.pid) in known[app]


def _pairs(environment: bytes) -> Iterator[tuple[str, str]]:
    for entry in environment.split(b"\0"):
        name, _, value = entry.partition(b"=")
        yield os.fsdecode(name), os.fsdecode(value)


def _read(pid: int, environment: dict[str, str]) -> Stray | None:
    started = processes.start_time(pid)
    try:
        leads = os.getsid(pid) == pid
    except ProcessLookupError:
        return None
    if started is None:
        return None
    app, name = environment.get("TRIVET_APP", ""), environment.get("TRIVET_DEPLOY", "")
    release, process = environment.get("TRIVET_RELEASE", ""), environment.get("TRIVET_PROCESS", "")
    temporary, port = environment.get("TMPDIR", ""), environment.get("PORT", "")
    inherits = environment.get("LISTEN_PID") == str(pid)
    return Stray(pid, started, leads, temporary, f"{app}/{name}", release, process, port, inherits)


def _is_one_off(stray: Stray) -> bool:
    return Path(stray.temporary).name.startswith(_ONE_OFF)
