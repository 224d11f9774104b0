"""The birth of a confined child: by a script where that is possible, else by a fork. It comes to the same.

docs/decisions/0027-children-without-a-copy.md has the reasons, and when it is not possible.
"""

import errno
import os
import resource
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from functools import partial

from trivet.host import spawn
from trivet.host.sandbox import Sandbox, Walls
from trivet.host.script import MAY_FAIL, Script, Stage
from trivet.host.spawn import Beginning, Child, Command, Confinement
from trivet.model.frozen import frozen

_READ, _CLOSE, _RT_SIGACTION, _RT_SIGPROCMASK, _PWRITE = 0, 3, 13, 14, 18
_DUP2, _EXECVE, _FCHDIR, _UMASK, _SETSID, _OPENAT, _PRLIMIT, _CLOSE_RANGE = 33, 59, 81, 95, 112, 257, 302, 436
_AT_FDCWD, _SIG_SETMASK = -100, 2
_SIGNALS_BYTES, _ACTION_BYTES = 8, 32  # the kernel's sigset_t and struct sigaction
_FIRST_FREE, _HIGHEST_DESCRIPTOR = 3, 2**32 - 1
_INFINITE = 2**64 - 1
_LINE_BYTES = 400  # of /proc/PID/stat
_MOST_WALLS = 8  # a kilobyte or two each, and what they point at

# Opens a file, and says from where on the child's line of /proc/PID/stat belongs there; the caller closes it.
Trace = Callable[[], tuple[int, int]]


@frozen
class _Kept:
    """Calls that are the same for all children."""

    signals: bytes
    sealing: bytes
    sealing_to_pass: bytes


class Births:
    """Of the children of this process, in the sandbox that `confinement` names too."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._is_dumpable = sandbox.is_dumpable()
        self._stage = Stage()
        self._signals: tuple[int, ...] | None = None  # those of ours, once they are known
        self._kept: _Kept | None = None
        self._walls: dict[int, tuple[Walls, bytes]] = {}

    def spawn(self, command: Command, confinement: Confinement, trace: Trace) -> Child:
        """As `spawn.spawn`; its `prepare` runs or, as there is no Python in the child, its line is left where `trace` says.

        By a script, it has a `playing` and no `report`; `settle` is to be called soon. Raises: OSError.
        """
        if not self._suits(command):
            return spawn.spawn(command, confinement)
        return self._try_script(command, confinement, trace) or spawn.spawn(command, confinement)

    def settle(self) -> bool:
        """Whether all children are their programs. Until then others may not look at this process, and see theirs."""
        if not self._stage.settle():
            return False
        if self._is_dumpable:
            self._sandbox.stay_dumpable()
        return True

    def _suits(self, command: Command) -> bool:
        """Not where the kernel could end us with it: for want of memory in its group, it ends all who share what it has."""
        if not self._stage.is_there or command.listening is not None or min(command.files) < _FIRST_FREE:
            return False
        if command.cell is not None and (command.cell.is_limited or command.cell.group.unified is None):
            return False
        return command.own_session

    def _try_script(self, command: Command, confinement: Confinement, trace: Trace) -> Child | None:
        beginning = spawn.begin(command, self._signals)
        self._stage.settle()
        playing = None
        # What fails here a fork finds too, and says it in its way.
        with suppress(OSError, ValueError), ExitStack() as open_files, beginning.blocked():
            script = self._write(open_files, (command, confinement), beginning, trace)
            group = None if command.cell is None else _open(open_files, command.cell.group.unified or "")
            playing = self._stage.play(script, group)
        return None if playing is None else Child(playing.pid, playing.pidfd, -1, playing)

    def _write(self, files: ExitStack, what: tuple[Command, Confinement], beginning: Beginning, trace: Trace) -> Script:
        command, confinement = what
        folder = _open(files, beginning.folder)
        file, place = trace()
        files.callback(os.close, file)
        walls, kept = self._walls_for(confinement.walls), self._kept_for(beginning)
        script = self._stage.begin()
        script.step("prepare")
        _write_own_line(script, file, place)
        script.call(_SETSID)
        script.calls += kept.signals
        if beginning.open_files is not None:
            limits = script.place(struct.pack("=2Q", *(each & _INFINITE for each in beginning.open_files)))
            script.call(_PRLIMIT, 0, resource.RLIMIT_NOFILE, limits)
        script.call(_UMASK, 0o022)
        script.step(f"enter {beginning.folder}")
        script.call(_FCHDIR, folder)
        script.step("seal")
        script.calls += (
            kept.sealing_to_pass if confinement.user is not None and confinement.user.passes else kept.sealing
        )
        script.calls += walls
        self._write_rest(script, command, confinement)
        script.step(f"run {command.argv[0]}")
        _write_running(script, command, beginning.program, folder)
        return script

    def _write_rest(self, script: Script, command: Command, confinement: Confinement) -> None:
        self._sandbox.write_own_walls(script, confinement.walls)
        for target, source in enumerate(command.files):
            script.call(_DUP2, source, target)
        if confinement.output is not None:
            script.call(_CLOSE, 1)  # the lowest that is free then
            script.call(_OPENAT, _AT_FDCWD, script.text(confinement.output), os.O_WRONLY | os.O_APPEND)
            script.call(_DUP2, 1, 2)
        if confinement.user is not None:
            script.step(f"become the user {confinement.user.number}")
            self._sandbox.write_becoming(script, confinement.user)

    def _walls_for(self, walls: Walls) -> bytes:
        """Kept for all whose walls are the same but for what is a process's own: they share what they may read."""
        known = self._walls.get(id(walls.readable))
        if known is None or known[0].readable is not walls.readable or known[0].folders[1:] != walls.folders[1:]:
            if not self._stage.settle():
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            if len(self._walls) >= _MOST_WALLS:
                self._stage.forget()
                self._kept, self._walls = None, {}
            calls = self._stage.keep(partial(self._sandbox.write_walls, walls=walls))
            known = self._walls[id(walls.readable)] = (walls, calls)
        return known[1]

    def _kept_for(self, beginning: Beginning) -> _Kept:
        if self._kept is None:  # then nothing plays
            self._signals = beginning.signals
            self._kept = _keep(self._stage, self._sandbox, beginning.signals)
        return self._kept


def _write_running(script: Script, command: Command, program: str | None, folder: int) -> None:
    script.call(_CLOSE_RANGE, _FIRST_FREE, _HIGHEST_DESCRIPTOR, unless=MAY_FAIL)
    script.call(_RT_SIGPROCMASK, _SIG_SETMASK, script.place(bytes(_SIGNALS_BYTES)), 0, _SIGNALS_BYTES)
    environment = dict(command.environment)
    if program is not None:
        there = os.readlink(f"/proc/self/fd/{folder}")  # noqa: PTH115 - for each start
        told = script.texts(_said({**environment, "PWD": there}))  # as a shell would say
        script.call(_EXECVE, script.text(program), script.texts(command.words), told, unless=MAY_FAIL)
    script.call(_EXECVE, script.text(command.argv[0]), script.texts(command.argv), script.texts(_said(environment)))


def _said(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        if not name or "=" in name:
            raise ValueError("illegal environment variable name")
        yield f"{name}={value}"


def _open(files: ExitStack, path: str) -> int:
    descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    files.callback(os.close, descriptor)
    return descriptor


def _write_own_line(script: Script, file: int, place: int) -> None:
    line = script.place(b" " * _LINE_BYTES)
    script.call(_CLOSE, 0, unless=MAY_FAIL)
    script.call(_OPENAT, _AT_FDCWD, script.text("/proc/self/stat"), os.O_RDONLY)  # 0: the lowest that is free
    script.call(_READ, 0, line, _LINE_BYTES)
    script.call(_PWRITE, file, line, _LINE_BYTES, place)


def _keep(stage: Stage, sandbox: Sandbox, signals: tuple[int, ...]) -> _Kept:
    def write_signals(script: Script) -> None:
        default = script.place(bytes(_ACTION_BYTES))
        for number in signals:
            script.call(_RT_SIGACTION, number, default, 0, _SIGNALS_BYTES)

    sealing = (stage.keep(partial(sandbox.write_closing_in, passes=passes)) for passes in (False, True))
    return _Kept(stage.keep(write_signals), *sealing)
