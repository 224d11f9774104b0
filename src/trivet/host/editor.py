"""A person's editor on a text that must not stay behind: in a private folder, wiped and removed whatever happens."""

import contextlib
import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

from trivet.errors import MachineError
from trivet.host.files import refused, remove_tree
from trivet.host.mounts import find_memory_folder

_PREFIX = "trivet-edit-"
_PATIENCE_S = 5.0
_USUAL = ("sensible-editor", "editor", "nano", "vi")


def find_editor(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The person's editor with its arguments: $VISUAL, else $EDITOR, else the first usual one. Raises: MachineError."""
    path = environment.get("PATH")
    for name in ("VISUAL", "EDITOR"):
        if argv := _split(environment.get(name, "")):
            if shutil.which(argv[0], path=path) is None:
                raise MachineError(
                    f"There is no editor {argv[0]!r}, which ${name} names.",
                    hint=f"Install it, or set ${name} to another.",
                )
            return argv
    found = next((name for name in _USUAL if shutil.which(name, path=path)), None)
    if found is None:
        raise MachineError("No editor was found.", hint="Set $EDITOR, for example: export EDITOR=nano")
    return (found,)


@contextlib.contextmanager
def private_file(name: str, text: str) -> Iterator[Path]:
    """A file with this text for nobody else, in memory where the machine has a place for that, gone after the block.

    What an editor puts beside it goes with it; what a killed command left, before. Raises: MachineError.
    """
    parent = find_memory_folder() or Path(tempfile.gettempdir())
    _sweep(parent)
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    except OSError as error:
        raise refused(error, f"make a folder in {parent}") from error
    holder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)  # for as long as we live: who finds it without that may remove it
        path = folder / name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        yield path
    finally:
        _wipe(folder)
        os.close(holder)


def run_editor(argv: tuple[str, ...], path: Path, environment: Mapping[str, str]) -> None:
    """The person has ended the editor. Ctrl-C is the editor's meanwhile. Raises: MachineError, if it failed."""
    before = signal.signal(signal.SIGINT, _leave_to_editor)
    try:
        with subprocess.Popen((*argv, str(path)), env=dict(environment)) as process:
            try:
                status = process.wait()
            except BaseException:
                _end(process)
                raise
    except OSError as error:
        raise refused(error, f"start the editor {argv[0]}") from error
    finally:
        signal.signal(signal.SIGINT, before)
    if status != 0:
        raise MachineError(
            f"The editor {argv[0]} ended with exit status {status}.", hint="Nothing was changed. Run the command again."
        )


def _leave_to_editor(number: int, frame: FrameType | None) -> None:
    """A handler, since a signal that is ignored would be ignored by the editor too."""


def _split(command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError:
        return (command,)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _sweep(parent: Path) -> None:
    """What commands left that were killed is gone."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid != os.geteuid():
                continue
            holder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _wipe(folder)
            finally:
                os.close(holder)


def _wipe(folder: Path) -> None:
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            _overwrite(path)
    try:
        remove_tree(folder)
    except OSError as error:
        raise refused(error, f"remove {folder}") from error


def _overwrite(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.write(descriptor, bytes(os.fstat(descriptor).st_size))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
