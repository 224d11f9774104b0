"""One-offs: a single process of a release, attached to whoever started it, behind the same walls as all the others."""

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from trivet.errors import RunError
from trivet.host import files, processes, spawn
from trivet.host.descendants import reaping
from trivet.host.sandbox import Sandbox, Walls
from trivet.model.home import Home
from trivet.model.release import Release
from trivet.run import desired, log_index
from trivet.run.command import shell_argv
from trivet.run.leftovers import clear_away
from trivet.run.plan import app_folder, log_path, process_environment

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_FROM_THE_KERNEL = 0x80  # SI_KERNEL: the terminal has told everybody in the foreground already
_KEPT_LINES = 20
_BLOCK_BYTES = 65536
_SIGNAL_STATUS = 128
_KILLED_AFTER_MS = 5000


@dataclass(frozen=True, slots=True)
class OneOff:
    """What is to be run, and of which release. `environment` is the release's, without what differs by process."""

    home: Home
    release: Release
    environment: Mapping[str, str] = field(repr=False)
    argv: tuple[str, ...]
    process: str


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is attached: its descriptors, whether it leads a session, and what it gets when we are gone."""

    descriptors: tuple[int, int, int]
    own_session: bool
    parting_signal: int


def command_argv(command: tuple[str, ...] | str) -> tuple[str, ...]:
    """One text is a shell line; several words are a program, found by the release's PATH, and its arguments."""
    if isinstance(command, str) or len(command) == 1:
        return shell_argv(command if isinstance(command, str) else command[0])[0]
    return ("/bin/sh", "-c", 'exec "$@"', "sh", *command)


def run_attached(one_off: OneOff, sandbox: Sandbox) -> int:
    """The exit status of the command, with our own standard input, output and error; 128 + n for signal n.

    On a terminal it shares our session and group; else it leads its own. All that it has started ends with it. Signals that
    others send us are passed on; what the terminal sends reaches it by itself.
    """
    manner = Manner((0, 1, 2), not sys.stdin.isatty(), signal.SIGHUP)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*_PASSED_ON, signal.SIGCHLD))
    try:
        with _started(one_off, sandbox, manner) as child:
            _pass_signals_on(child)
            return _exit_status(child)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_captured(one_off: OneOff, sandbox: Sandbox, report_line: Callable[[str], None]) -> tuple[int, tuple[str, ...]]:
    """The exit status and the last lines; each line is reported as it comes and kept in the process's log.

    It and all it started are gone when this returns or raises, and it does not outlive us.
    """
    log = log_path(one_off.home, one_off.release.deploy, one_off.release.number, one_off.process)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    manner = Manner((null, writing, writing), own_session=True, parting_signal=signal.SIGKILL)
    ours = [writing, null]
    try:
        with _started(one_off, sandbox, manner) as child:
            while ours:
                os.close(ours.pop())  # else the output would never end
            lines = _Lines(log)
            lines.copy(reading, child.pidfd, report_line)
            return _exit_status(child), lines.last
    finally:
        for descriptor in (*ours, reading):
            os.close(descriptor)


class _Lines:
    """The output of a process: kept in its log, told line by line."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._rest = b""
        self.last: tuple[str, ...] = ()

    def copy(self, reading: int, pidfd: int, report_line: Callable[[str], None]) -> None:
        """All that was written until the process ended is in the log and was reported."""
        poll = select.poll()
        poll.register(reading, select.POLLIN)
        poll.register(pidfd, select.POLLIN)
        log = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            ready = {descriptor for descriptor, _ in poll.poll()}
            while reading in ready or pidfd not in ready:
                data = os.read(reading, _BLOCK_BYTES) if reading in ready else b""
                if data:
                    self._take(log, data, report_line)
                elif reading in ready:
                    poll.unregister(reading)
                ready = {descriptor for descriptor, _ in poll.poll()}
        finally:
            os.close(log)
        if self._rest:
            self._tell(self._rest, report_line)

    def _take(self, log: int, data: bytes, report_line: Callable[[str], None]) -> None:
        os.write(log, data)
        log_index.append(self._log, os.fstat(log).st_size)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._tell(line, report_line)

    def _tell(self, line: bytes, report_line: Callable[[str], None]) -> None:
        text = line.rstrip(b"\r").decode(errors="replace")
        self.last = (*self.last, text)[-_KEPT_LINES:]
        report_line(text)


@contextmanager
def _started(one_off: OneOff, sandbox: Sandbox, manner: Manner) -> Iterator[spawn.Child]:
    desired.make_folders(one_off.home, one_off.release.deploy)
    temporary = _make_temporary(one_off.home)
    try:
        with reaping():
            child = spawn.spawn(_command(one_off, manner, temporary), _confinement(one_off, sandbox, manner, temporary))
            try:
                _check_started(one_off, child)
                yield child
            finally:
                _end(child, whole_group=manner.own_session)
    finally:
        clear_away((temporary,))


def _make_temporary(home: Home) -> Path:
    """Named after us, so that the supervisor can tell when nobody uses it any more."""
    pid = os.getpid()
    files.make_directories(home.temporary, mode=0o711)
    path = home.temporary / f"run-{pid}.{processes.start_time(pid)}"
    path.mkdir(mode=0o700)
    return path


def _command(one_off: OneOff, manner: Manner, temporary: Path) -> spawn.Command:
    environment = dict(process_environment(one_off.environment, one_off.process, temporary, None))
    if not manner.own_session and "TERM" in os.environ:
        environment["TERM"] = os.environ["TERM"]  # says what the terminal understands; nothing else is the caller's
    folder = app_folder(one_off.home, one_off.release)
    return spawn.Command(one_off.argv, environment, folder, manner.descriptors, own_session=manner.own_session)


def _confinement(one_off: OneOff, sandbox: Sandbox, manner: Manner, temporary: Path) -> spawn.Confinement:
    walls = Walls((temporary, one_off.home.storage(one_off.release.deploy), Path("/dev/shm")))
    parent = os.getpid()

    def prepare() -> None:
        sandbox.end_with_parent(manner.parting_signal)
        if os.getppid() != parent:
            raise ProcessLookupError(0, "whoever started it is gone")

    return spawn.Confinement(sandbox, walls, prepare)


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
