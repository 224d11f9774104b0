"""The supervisor as a program: one a home, for as long as it holds the lock."""

import fcntl
import os
import signal
import sys
from pathlib import Path

from trivet.errors import TrivetError
from trivet.host import sandbox
from trivet.host.birth import Births
from trivet.host.cgroups import Cgroups
from trivet.host.clone import Cloner
from trivet.host.descendants import become_reaper
from trivet.host.files import make_directories
from trivet.host.processes import boot_id
from trivet.model.home import Home
from trivet.run.enclosure import Enclosure
from trivet.run.log_limits import read_log_limits
from trivet.run.supervisor import launch, yard
from trivet.run.supervisor.cradle import Cradle
from trivet.run.supervisor.journal import Journal
from trivet.run.supervisor.leftovers import Leftovers
from trivet.run.supervisor.log_room import LogRoom
from trivet.run.supervisor.log_times import LogTimes
from trivet.run.supervisor.loop import Loop
from trivet.run.supervisor.orphans import Orphans
from trivet.run.supervisor.ports import Ports
from trivet.run.supervisor.succession import PassedOn, recall, take_over
from trivet.run.supervisor.supervisor import Supervisor
from trivet.run.supervisor.voice import Voice


def main(arguments: list[str]) -> int:
    """Runs until everything has been ended; 0 at once if another supervisor of this home runs."""
    sys.stderr = Voice()
    home = Home(Path(arguments[0]))
    make_directories(home.supervisor, mode=0o700)
    try:
        return _run(home, arguments[1:])
    except TrivetError as error:
        sys.stderr.write(f"trivet: {error.message}\n{error.hint}\n")
        return error.exit_code


def _run(home: Home, options: list[str]) -> int:
    os.umask(0o077)
    walls = sandbox.Sandbox()
    sandbox.check(walls.sealing, allow_mutable=launch.ALLOW_MUTABLE in options)
    limit = yard.raise_open_files()
    if launch.TRY in options:
        return 0
    become_reaper()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    inherited = _inherit(home, options)
    lock = inherited.lock if inherited is not None else _take_lock(home)
    if lock is None:
        sys.stderr.write(f"trivet: another supervisor runs {home.root}\n")
        return 0
    while True:
        loop = Loop()
        successor = _make_supervisor(home, options, (loop, walls, limit)).run(inherited)
        loop.close()
        if successor is None or successor.runs(lock):
            return 0
        sys.stderr.write("trivet: the new supervisor ended before it ran; this one goes on\n")
        inherited = PassedOn(None, lock, successor.listener)


def _inherit(home: Home, options: list[str]) -> PassedOn | None:
    if (descriptors := _value(launch.INHERIT, options)) is not None:
        return recall(descriptors)
    return take_over(home) if launch.TAKE_OVER in options else None


def _value(name: str, options: list[str]) -> str | None:
    return next((each.removeprefix(name) for each in options if each.startswith(name)), None)


def _take_lock(home: Home) -> int | None:
    lock = os.open(launch.lock_path(home), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    return lock


def _make_supervisor(home: Home, options: list[str], around: tuple[Loop, sandbox.Sandbox, int]) -> Supervisor:
    loop, walls, limit = around
    altered = frozenset(each.removeprefix(launch.ALTERED) for each in options if each.startswith(launch.ALTERED))
    said = _value(launch.VERSION, options) or "", launch.FOREGROUND in options
    orphans, groups = Orphans(loop), Cgroups(home.root)
    logs = LogRoom(home, loop, LogTimes(loop), read_log_limits(os.environ))
    keeping = (Ports(), logs, Leftovers(loop, None if groups.means.killing else orphans), Journal(home, loop))
    by = launch.said_by(os.environ)
    enclosure = Enclosure(home, walls)
    birth = Cloner(), Cradle(loop, Births(walls))
    place = yard.Yard(home, loop, enclosure, *keeping, boot_id(), limit, groups, *birth, *said, altered, by)
    supervisor = Supervisor(place)
    orphans.own = supervisor.children
    loop.on_signal((signal.SIGTERM, signal.SIGINT), supervisor.end)
    loop.on_signal((signal.SIGCHLD,), orphans.reap)
    return supervisor
