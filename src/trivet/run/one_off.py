"""One-offs: a single process of a release, attached to whoever started it, behind the same walls as all the others."""

import os
import select
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from trivet.errors import RunError
from trivet.host import files, processes, spawn
from trivet.host.descendants import reaping
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.process import Limits, ProcessType
from trivet.model.release import Release
from trivet.run import desired
from trivet.run.capture import Capture
from trivet.run.command import shell_argv
from trivet.run.enclosure import Enclosure, Place
from trivet.run.holding import Holding, holding
from trivet.run.leftovers import clear_away, one_off_folder
from trivet.run.plan import app_folder, code_of, process_environment, release_environment
from trivet.run.released import check_runnable, read_environment

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_FROM_THE_KERNEL = 0x80  # SI_KERNEL: the terminal has told everybody in the foreground already
_SIGNAL_STATUS = 128
_KILLED_AFTER_MS = 5000


@frozen
class OneOff:
    """What is to be run, and of which release. `environment` is without what differs by process.

    It `answers` if what it writes to its standard output is asked for, apart from its error output. `limits` hold for it and
    all that it starts.
    """

    home: Home
    release: Release
    environment: Mapping[str, str] = field(repr=False)
    argv: tuple[str, ...]
    process: str
    answers: bool = False
    limits: Limits = Limits()


@frozen
class Ended:
    """How it ended: its exit status, 128 + n for signal n; None if it took too long and was ended.

    `want` says where memory ran out for it ("limit 64 MB"), if the kernel has ended any of it for that.
    """

    status: int | None
    want: str | None = None


@frozen
class Manner:
    """How it is attached: its descriptors, whether it leads a session, and what it gets when we are gone.

    `own_pipes`: what it writes to are pipes that we made for it.
    """

    descriptors: tuple[int, int, int]
    own_session: bool
    parting_signal: int
    own_pipes: bool = False


def command_argv(command: tuple[str, ...] | str) -> tuple[str, ...]:
    """One text is a shell line; several words are a program, found by the release's PATH, and its arguments."""
    if isinstance(command, str) or len(command) == 1:
        return shell_argv(command if isinstance(command, str) else command[0])[0]
    return ("/bin/sh", "-c", 'exec "$@"', "sh", *command)


def choose(home: Home, release: Release, command: tuple[str, ...], kind: ProcessType | None) -> OneOff:
    """The command in the release's environment, with the limits of this process type; without a command, its own.

    Raises: RunError, MachineError.
    """
    check_runnable(home, release)
    config = read_environment(home, release.deploy, release.number)
    argv = command_argv(command or (kind.command if kind is not None else ""))
    limits = Limits() if kind is None else kind.limits
    environment = release_environment(home, release, config)
    return OneOff(home, release, environment, argv, f"run.{os.getpid()}", limits=limits)


def run_attached(one_off: OneOff, enclosure: Enclosure) -> Ended:
    """How the command ended, with our own standard input, output and error.

    On a terminal it shares our session and group; else it leads its own. All that it has started ends with it. Signals that
    others send us are passed on; what the terminal sends reaches it by itself.
    """
    manner = Manner((0, 1, 2), not sys.stdin.isatty(), signal.SIGHUP)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*_PASSED_ON, signal.SIGCHLD))
    try:
        with _started(one_off, enclosure, manner) as (child, hold):
            _pass_signals_on(child)
            return Ended(_exit_status(child), hold.want)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_captured(one_off: OneOff, enclosure: Enclosure, capture: Capture, timeout_s: float) -> Ended:
    """How it ended, within this time. The capture has all that it wrote.

    It and all it started are gone when this returns or raises, and it does not outlive us. What it writes to its error
    output comes through the same pipe as the rest, unless the rest is an answer.
    """
    with _open_pipes(2 if one_off.answers else 1) as pipes:
        answer, other = pipes.writing[0], pipes.writing[-1]
        manner = Manner((pipes.null, answer, other), own_session=True, parting_signal=signal.SIGKILL, own_pipes=True)
        with _started(one_off, enclosure, manner) as (child, hold):
            pipes.close_theirs()  # else the output would never end
            reading = {descriptor: one_off.answers and index == 0 for index, descriptor in enumerate(pipes.reading)}
            status = _exit_status(child) if capture.copy(reading, child.pidfd, timeout_s) else None
            return Ended(status, hold.want)


@dataclass(slots=True)
class _Pipes:
    """The ends that we read from, and what the child is given: an empty input, and the ends that it writes to."""

    reading: list[int]
    writing: list[int]
    null: int

    def close_theirs(self) -> None:
        while self.writing:
            os.close(self.writing.pop())
        if self.null >= 0:
            os.close(self.null)
            self.null = -1


@contextmanager
def _open_pipes(count: int) -> Iterator[_Pipes]:
    pipes = _Pipes([], [], os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    try:
        for _ in range(count):
            reading, writing = os.pipe2(os.O_CLOEXEC)
            pipes.reading.append(reading)
            pipes.writing.append(writing)
        yield pipes
    finally:
        pipes.close_theirs()
        for descriptor in pipes.reading:
            os.close(descriptor)


@contextmanager
def _started(one_off: OneOff, enclosure: Enclosure, manner: Manner) -> Iterator[tuple[spawn.Child, Holding]]:
    desired.make_folders(one_off.home, one_off.release.deploy)
    temporary = _make_temporary(one_off.home)
    try:
        release = one_off.release
        place = enclosure.place(release.deploy, code_of(one_off.home, release))
        if place.user is not None and manner.own_pipes:
            for descriptor in manner.descriptors[1:]:
                place.user.may_write(descriptor)  # programs open /dev/stdout
        with reaping(), holding(one_off.home, release.deploy, temporary.name, one_off.limits) as hold:
            command, confinement = (
                replace(_command(one_off, manner, place, temporary), cell=hold.cell),
                _confinement(enclosure, manner, place, temporary),
            )
            child = spawn.spawn(command, confinement)
            try:
                _check_started(one_off, child)
                yield child, hold
            finally:
                _end(child, whole_group=manner.own_session)
    finally:
        clear_away((temporary,))


def _make_temporary(home: Home) -> Path:
    """Named after us, so that the supervisor can tell when nobody uses it any more."""
    files.make_directories(home.temporary, mode=0o711)
    path = one_off_folder(home.temporary, os.getpid())
    path.mkdir(mode=0o700)
    return path


def _command(one_off: OneOff, manner: Manner, place: Place, temporary: Path) -> spawn.Command:
    own = process_environment(one_off.environment, one_off.process, temporary, None)
    environment = {**place.variables, **own}
    if not manner.own_session and "TERM" in os.environ:
        environment["TERM"] = os.environ["TERM"]  # says what the terminal understands; nothing else is the caller's
    folder = app_folder(one_off.home, one_off.release)
    most = one_off.limits.files
    start = (one_off.argv, environment, folder, manner.descriptors)
    return spawn.Command(*start, own_session=manner.own_session, most_files=most)


def _confinement(enclosure: Enclosure, manner: Manner, place: Place, temporary: Path) -> spawn.Confinement:
    parent = os.getpid()

    def finish() -> None:
        enclosure.sandbox.end_with_parent(manner.parting_signal)
        if os.getppid() != parent:
            raise ProcessLookupError(0, "whoever started it is gone")

    return spawn.Confinement(enclosure.sandbox, place.walls(temporary), user=place.user, finish=finish)


def _check_started(one_off: OneOff, child: spawn.Child) -> None:
    os.set_blocking(child.report, True)
    failure = spawn.read_failure(child.report)
    if failure is not None:
        raise RunError(
            f"The command could not be started ({failure}).",
            hint=f"`trivet releases show {one_off.release.name}` tells what the release consists of.",
        )


def _pass_signals_on(child: spawn.Child) -> None:
    """Returns when the child has ended."""
    ended = select.poll()
    ended.register(child.pidfd, select.POLLIN)
    while not ended.poll(0):
        received = signal.sigwaitinfo((*_PASSED_ON, signal.SIGCHLD))
        if received.si_signo != signal.SIGCHLD and received.si_code != _FROM_THE_KERNEL:
            processes.send_signal(child.pidfd, received.si_signo)


def _end(child: spawn.Child, *, whole_group: bool) -> None:
    """The child is gone: by itself, or told to, or killed; with all of its group, if that is its own."""
    ended = select.poll()
    ended.register(child.pidfd, select.POLLIN)
    if not ended.poll(0):
        processes.send_signal(child.pidfd, signal.SIGTERM)
        if not ended.poll(_KILLED_AFTER_MS):
            processes.send_signal(child.pidfd, signal.SIGKILL)
            ended.poll()
    if whole_group:
        processes.signal_group(child.pid, signal.SIGKILL)
    processes.exit_of(child.pidfd)
    os.close(child.pidfd)
    os.close(child.report)


def _exit_status(child: spawn.Child) -> int:
    ended = processes.peek_exit(child.pidfd)
    if ended.signal is not None:
        return _SIGNAL_STATUS + ended.signal
    return ended.status if ended.status is not None else 1
