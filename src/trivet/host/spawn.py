"""A child of this process: forked, put in its place, sealed, and made into its program. No shell, no threads.

What fails between fork and exec is told through a pipe that the exec closes, as s6 does it: step and errno.
https://skarnet.org/software/s6/
"""

import _signal  # type: ignore[import-not-found]  # as `signal`, which makes an enumeration of every answer: 0.3 ms a child
import contextlib
import gc
import json
import os
import resource
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import NoReturn

from trivet.host.cgroup import Cgroup
from trivet.host.clone import Cloner
from trivet.host.sandbox import Sandbox, Walls
from trivet.host.script import Playing
from trivet.host.user import User
from trivet.model.frozen import frozen

_EXIT_NOT_STARTED = 127
_MOST_BYTES = 4096
_INHERITED = 3  # SD_LISTEN_FDS_START
_HIGHEST_DESCRIPTOR = 65536  # what Python opens is closed by exec; this is for what others left open for us


@frozen
class Command:
    """What is to become of the child. `files` are its descriptors 0, 1 and 2; nothing else stays open but `listening`.

    `listening` is a listening socket that it gets as descriptor 3, and is told of as sd_listen_fds(3) has it: by
    `LISTEN_PID`, its own number, to which the environment adds the rest.

    `own_session`: it leads a session and a group of its own, without a terminal. `open_files` is the soft limit it is
    given (None: ours), `most_files` the hard one, and then the soft one too. `cell` is where it begins its life.

    `words`, if there are any, are tried first: a program, looked up in the environment's PATH, and its arguments. Whatever
    becomes of that is left to the argv, whose shell would look further, run what has no `#!`, or say what is wrong.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    files: tuple[int, int, int]
    own_session: bool = True
    open_files: int | None = None
    listening: int | None = None
    most_files: int | None = None
    cell: "Cell | None" = None
    words: tuple[str, ...] = ()


@frozen
class Cell:
    """The control group of a child: it is in it before it does anything, and so is all that it starts.

    It is born there by the cloner, which only a process with one thread may have; else (None) it goes there by itself.
    `is_limited`: it may be kept waiting there, or ended for want of memory.
    """

    group: Cgroup
    cloner: Cloner | None
    is_limited: bool = True


@frozen
class Child:
    """A child. `report` is readable once it runs its program, or could not: see `read_failure`.

    The owner closes both descriptors. One that plays a script has no report (-1).
    """

    pid: int
    pidfd: int
    report: int
    playing: Playing | None = None

    @property
    def failure(self) -> str | None:
        """What kept one that plays a script, and has ended, from running its program."""
        return None if self.playing is None else self.playing.failure


@frozen
class Confinement:
    """What happens in the child last: `prepare` runs, the walls close, it becomes the user (None: stays ours), `finish` runs.

    `output` is opened anew behind the walls as descriptors 1 and 2: the kernel decides when a file is opened what may be
    done with it, so that one from before could be shortened. It exists, and is one of the walls' files.
    """

    sandbox: Sandbox
    walls: Walls
    prepare: Callable[[], None] | None = None
    output: Path | None = None
    user: User | None = None
    finish: Callable[[], None] | None = None


@frozen
class Beginning:
    """What a child finds of us: the signals that it is to reset.

    And the folder where it starts, the limits of open files that it is given, and the program of its words.
    """

    signals: tuple[int, ...]
    folder: str
    open_files: tuple[int, int] | None
    program: str | None

    @contextlib.contextmanager
    def blocked(self) -> Iterator[None]:
        """A signal for a child that still has our handlers would be lost on them: it waits until the child has none."""
        before = _signal.pthread_sigmask(_signal.SIG_BLOCK, self.signals)
        try:
            yield
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, before)


def begin(command: Command, signals: tuple[int, ...] | None = None) -> Beginning:
    """What can be worked out before there is a child. `signals`: those to be reset, if that is known."""
    return Beginning(signals or _signals_of_ours(), str(command.folder), _open_files(command), _program(command))


def spawn(command: Command, confinement: Confinement | None = None) -> Child:
    """The child exists and becomes the command on its own; nobody waits. Raises: OSError when there can be no child."""
    report, told = os.pipe2(os.O_CLOEXEC)
    try:
        pid = _fork(command, confinement, told)
    except OSError:
        os.close(report)
        raise
    finally:
        os.close(told)
    os.set_blocking(report, False)
    return Child(pid, os.pidfd_open(pid), report)


def read_failure(report: int) -> str | None:
    """What kept the child from running its program, if anything has been told by now.

    Raises: BlockingIOError while it is not decided yet.
    """
    data = os.read(report, _MOST_BYTES)
    if not data:
        return None
    step, number = json.loads(data)
    return f"{step}: {os.strerror(number)}"


def fork_off(work: Callable[[], None]) -> int:
    """A pidfd of a child that does this work and ends: 0, or 1 if it raised. The caller reaps and closes."""
    pid = os.fork()
    if pid:
        return os.pidfd_open(pid)
    status = 1
    try:
        os.closerange(3, _HIGHEST_DESCRIPTOR)  # it must not keep our locks and sockets if we are killed
        work()
        status = 0
    finally:
        os._exit(status)


def become(command: Command) -> NoReturn:
    """This process is the command from here on. Raises: OSError."""
    os.chdir(command.folder)
    os.execve(command.argv[0], command.argv, dict(command.environment))


def _fork(command: Command, confinement: Confinement | None, told: int) -> int:
    ruleset = confinement.sandbox.build(confinement.walls) if confinement is not None else -1
    beginning = begin(command)
    try:
        with beginning.blocked():
            pid, entries = _fork_into(command.cell)
            if pid == 0:
                _become(command, confinement, (beginning, ruleset, told), entries)
            return pid
    finally:
        if ruleset >= 0:
            os.close(ruleset)


def _fork_into(cell: Cell | None) -> tuple[int, tuple[str, ...]]:
    """As `os.fork`, and which files the child has still to write itself into."""
    if cell is None:
        return os.fork(), ()
    group, cloner = cell.group, cell.cloner
    if group.unified is None:
        return os.fork(), group.legacy_entries
    pid, is_in = cloner.fork(group.unified) if cloner is not None else (os.fork(), False)
    return pid, group.legacy_entries if is_in else (f"{group.unified}/cgroup.procs", *group.legacy_entries)


def _become(
    command: Command, confinement: Confinement | None, start: tuple[Beginning, int, int], entries: tuple[str, ...]
) -> NoReturn:
    """It is written into the entries of its control group, and so on until it is the command.

    Every page that Python touches here is copied first, and collecting garbage touches all of them: little is done.
    """
    gc.disable()
    beginning, ruleset, told = start
    step = ["enter its control group"]
    try:
        for entry in entries:
            _enter(entry)
        step[0] = "prepare"
        _settle_in(command, step, beginning, (told, ruleset))
        if confinement is not None:
            _confine(confinement, step, ruleset)
        step[0] = f"run {command.argv[0]}"
        _run(command, beginning.program)
    except OSError as error:
        at = error.filename2 or error.filename
        what = f"{step[0]} ({at})" if isinstance(at, str) and at not in step[0] else step[0]
        os.write(told, json.dumps([what, error.errno or 0]).encode())
    finally:
        os._exit(_EXIT_NOT_STARTED)


def _run(command: Command, program: str | None) -> NoReturn:
    environment = _environment(command)
    if program is not None:
        with contextlib.suppress(OSError):
            os.execve(program, command.words, {**environment, "PWD": os.getcwd()})  # noqa: PTH109 - as a shell would say
    os.execve(command.argv[0], command.argv, environment)


def _program(command: Command) -> str | None:
    name = command.words[0] if command.words else "/"
    if "/" in name:
        return name if command.words else None
    folders = command.environment.get("PATH", "").split(":")
    paths = (os.path.join(command.folder, folder, name) for folder in folders)  # noqa: PTH118 - for each start
    return next((path for path in paths if os.access(path, os.X_OK)), None)


def _settle_in(command: Command, step: list[str], beginning: Beginning, kept: tuple[int, int]) -> None:
    if command.own_session:
        os.setsid()
    for target, source in enumerate(command.files):
        os.dup2(source, target)
    last = _hand_on(command)
    low, high = sorted(max(each, last) for each in kept)
    os.closerange(last + 1, low)
    os.closerange(low + 1, high)
    os.closerange(high + 1, _HIGHEST_DESCRIPTOR)
    _reset(beginning.signals)
    if beginning.open_files is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, beginning.open_files)
    os.umask(0o022)
    step[0] = f"enter {beginning.folder}"
    os.chdir(beginning.folder)


def _hand_on(command: Command) -> int:
    """The listening socket is descriptor 3, if there is one; returns the last descriptor that stays open."""
    if command.listening is None:
        return _INHERITED - 1
    os.dup2(command.listening, _INHERITED)
    # It may have been this one already; the pipe and the walls, opened after others, never are.
    os.set_inheritable(_INHERITED, True)  # noqa: FBT003
    return _INHERITED


def _environment(command: Command) -> dict[str, str]:
    own = {} if command.listening is None else {"LISTEN_PID": str(os.getpid())}
    return {**command.environment, **own}


def _open_files(command: Command) -> tuple[int, int] | None:
    most = command.most_files
    if most is not None:
        return most, most
    if command.open_files is None:
        return None
    return command.open_files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def _enter(entry: str) -> None:
    descriptor = os.open(entry, os.O_WRONLY | os.O_CLOEXEC)
    os.write(descriptor, b"0")
    os.close(descriptor)


def _confine(confinement: Confinement, step: list[str], ruleset: int) -> None:
    step[0] = "seal"
    if confinement.prepare is not None:
        confinement.prepare()
    confinement.sandbox.leave_keyring()
    confinement.sandbox.close_in(ruleset, passes=confinement.user is not None and confinement.user.passes)
    if confinement.output is not None:
        _write_to(confinement.output)
    if confinement.user is not None:
        step[0] = f"become the user {confinement.user.number}"
        confinement.sandbox.become(confinement.user)
    if confinement.finish is not None:
        confinement.finish()  # what a change of user takes back comes after it: prctl(2), PR_SET_PDEATHSIG


def _write_to(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _signals_of_ours() -> tuple[int, ...]:
    """Those that this process handles or ignores. Python ignores SIGPIPE, and an ignored signal stays ignored over exec."""
    return tuple(n for n in range(1, _signal.NSIG) if _signal.getsignal(n) not in (_signal.SIG_DFL, None))


def _reset(signals: tuple[int, ...]) -> None:
    _signal.set_wakeup_fd(-1)
    for number in signals:
        _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
