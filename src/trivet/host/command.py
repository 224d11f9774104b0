"""Commands of the machine: run one and hand on its lines, or run one and keep its answer. Nothing it started outlives it.

One command at a time in a process: while one runs, this process is the reaper of all that descends from it.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import IO

from trivet.errors import Interrupted, MachineError
from trivet.host.descendants import reaping
from trivet.host.files import refused
from trivet.host.limits import Watch
from trivet.host.sandbox import Sandbox
from trivet.host.seclusion import Confined
from trivet.model.frozen import frozen

_CHUNK_BYTES = 65536
_NOT_CONFINED = 125
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@frozen
class Command:
    """What is to be run; the environment is all that it gets. `timeout_s` ends it.

    `given` is what a captured command reads from its standard input. One that is `confined` sees and does only what that
    says, and so does all that it starts.
    """

    argv: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str]
    timeout_s: float = 3600.0
    confined: Confined | None = None
    given: bytes | None = None


@frozen
class Answer:
    """What a command ended with: its exit status (-N: killed by signal N), output and error output."""

    status: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode(errors="replace").strip()


def stream(command: Command, line: Callable[[str], None]) -> int:
    """The command has ended, with all that it started; `line` was called with each line of its output as it came.

    Returns the exit status, -N if signal N killed it. Whatever is raised meanwhile (Ctrl-C, too) ends it as well.
    Raises: MachineError if there is no such program, or if it takes too long; LimitReached.
    """
    with reaping(), _started(command, stderr=subprocess.STDOUT, prepare=_ending_with_us(command)) as process:
        _relay(process, line, command)
        return process.wait()


def capture(command: Command) -> Answer:
    """The command has ended. Raises: MachineError if there is no such program, or if it takes too long."""
    prepare = _ending_with_us(command) if command.confined else None
    held = reaping() if command.confined else contextlib.nullcontext()
    with held, _started(command, stderr=subprocess.PIPE, prepare=prepare) as process:
        try:
            out, err = process.communicate(command.given, timeout=command.timeout_s)
        except subprocess.TimeoutExpired as error:
            raise _timed_out(command) from error
    return Answer(process.returncode, out, err.decode(errors="replace"))


@contextlib.contextmanager
def piped(command: Command) -> Iterator[IO[bytes]]:
    """The command's output, to be read inside the block; EOFError in there means that there was no more of it.

    Raises: ChildProcessError with the command's error output if it failed.
    """
    # A file, since nobody reads a pipe meanwhile: full, it would stop the command for ever.
    with tempfile.TemporaryFile() as errors, _started(command, stderr=errors.fileno()) as process:
        assert process.stdout is not None
        ended_early: EOFError | None = None
        try:
            yield process.stdout
        except EOFError as error:
            ended_early = error
        while process.stdout.read(_CHUNK_BYTES):
            pass
        if process.wait() != 0:
            errors.seek(0)
            raise ChildProcessError(errors.read(_CHUNK_BYTES).decode(errors="replace").strip()) from ended_early


@contextlib.contextmanager
def interruptible(message: str, hint: str) -> Iterator[None]:
    """Inside the block Ctrl-C, SIGTERM and SIGHUP raise Interrupted, once; what is ignored already stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    caught = [number for number, handler in before.items() if handler is not signal.SIG_IGN]

    def interrupt(number: int, _frame: FrameType | None) -> None:
        for each in caught:
            signal.signal(each, signal.SIG_IGN)  # so that cleaning up is not interrupted in turn
        raise Interrupted(message, hint=hint)

    try:
        for number in caught:
            signal.signal(number, interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def describe_status(status: int) -> str:
    """An exit status in words: "exit status 3" or "signal SIGKILL"."""
    if status >= 0:
        return f"exit status {status}"
    return f"signal {signal.Signals(-status).name}" if -status in set(signal.Signals) else f"signal {-status}"


@contextlib.contextmanager
def _started(
    command: Command, *, stderr: int, prepare: Callable[[], None] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """The command runs inside the block, in a session of its own, with what it is given as its input; after it, it is gone.

    `prepare` runs in the child before its program.
    """
    if shutil.which(command.argv[0], path=command.environment.get("PATH", os.defpath)) is None:
        raise MachineError(
            f"There is no program {command.argv[0]!r} on this machine.",
            hint=f"Install it (for example `apt-get install {Path(command.argv[0]).name}`) and run the command again.",
        )
    try:
        process = subprocess.Popen(
            command.confined.argv(command.argv, command.directory) if command.confined else command.argv,
            cwd=command.directory,
            env=dict(command.environment),
            stdin=subprocess.DEVNULL if command.given is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            preexec_fn=prepare,  # safe: this process has no threads
        )
    except OSError as error:
        raise refused(error, f"run {command.argv[0]}") from error
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _relay(process: "subprocess.Popen[bytes]", line: Callable[[str], None], command: Command) -> None:
    """The process has ended and its lines were handed on, even if something it left behind holds the pipe open."""
    assert process.stdout is not None
    until = time.monotonic() + command.timeout_s
    watch = _watch(command, process.pid)
    pipe, ended = process.stdout.fileno(), os.pidfd_open(process.pid)
    os.set_blocking(pipe, False)
    poller, lines = select.poll(), _Lines(line)
    poller.register(pipe, select.POLLIN)
    poller.register(ended, select.POLLIN)
    try:
        ready: set[int] = set()
        while ended not in ready:
            left_s = until - time.monotonic()
            pause_s = left_s if watch is None else min(left_s, watch.pause_s())
            ready = {descriptor for descriptor, _ in poller.poll(max(0.0, pause_s) * 1000)}
            if watch is not None:
                watch.look()
            if not ready and time.monotonic() >= until:
                raise _timed_out(command)
            if pipe in ready and not lines.read(pipe):
                poller.unregister(pipe)
        while lines.read(pipe, until_empty=True):
            pass
        lines.finish()
    finally:
        os.close(ended)


class _Lines:
    """Cuts what comes through a pipe into lines; of a line drawn over itself with \\r the last state counts."""

    def __init__(self, line: Callable[[str], None]) -> None:
        self._line = line
        self._rest = b""

    def read(self, pipe: int, *, until_empty: bool = False) -> bool:
        """Takes what is there. False at the end of the output, or with `until_empty` also when nothing is there."""
        try:
            chunk = os.read(pipe, _CHUNK_BYTES)
        except BlockingIOError:
            return not until_empty
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        for each in whole:
            self._tell(each)
        if len(self._rest) > _CHUNK_BYTES:
            self.finish()
        return bool(chunk)

    def finish(self) -> None:
        if self._rest:
            self._tell(self._rest)
        self._rest = b""

    def _tell(self, raw: bytes) -> None:
        self._line(raw.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace"))


def _timed_out(command: Command) -> MachineError:
    return MachineError(
        f"{command.argv[0]} took longer than {command.timeout_s:g} s and was ended.",
        hint="Run the command again; if it hangs again, its output (-v) shows where.",
    )


def _watch(command: Command, pid: int) -> Watch | None:
    limits = command.confined.limits if command.confined else None
    return Watch(limits, pid) if limits else None


def _ending_with_us(command: Command) -> Callable[[], None]:
    """To be called in a new child: it is confined, and killed when this process ends, even by SIGKILL."""
    sandbox, parent = Sandbox(), os.getpid()

    def end_with_parent() -> None:
        sandbox.end_with_parent(signal.SIGKILL)

    def prepare() -> None:
        end_with_parent()
        if os.getppid() != parent:  # it ended before we asked
            os.kill(os.getpid(), signal.SIGKILL)
        if command.confined is not None:
            _confine(command.confined, sandbox, command.directory, end_with_parent)

    return prepare


def _confine(confined: Confined, sandbox: Sandbox, directory: Path, on_start: Callable[[], None]) -> None:
    """The child is confined, or says in its output why it is not, and ends."""
    try:
        confined.close(sandbox, directory, on_start)
    except OSError as error:
        os.write(2, f"The command cannot be confined: {error.strerror} ({error.filename}).\n".encode())
        os._exit(_NOT_CONFINED)
