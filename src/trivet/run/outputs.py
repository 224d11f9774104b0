"""Outputs: what the commands around a release wrote, kept in run/outputs/v12/ by release, each with how it ended.

`release.out` is what the release command wrote, written as it comes; `release.json` says how it ended.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from trivet.host import files
from trivet.model.document import write_document
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.output import KeptOutput, Output, Part
from trivet.run import documents

KEPT_RELEASES = 100
_HALF_BYTES = 512 * 1024
_RELEASE = re.compile(r"v([1-9][0-9]{0,8})")


class Keeping:
    """An output that is being kept: its first half megabyte as it comes, and at the end its last.

    What lies between is left out, and so is all from the first refusal of the machine on: a full disk ends no command.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._room = _HALF_BYTES
        self._tail = bytearray()
        self.left_out_bytes = 0

    def write(self, data: bytes) -> None:
        head, rest = data[: self._room], data[self._room :]
        self._room -= len(head)
        self._put(head)
        self._tail += rest
        if len(self._tail) > 2 * _HALF_BYTES:
            self._trim()

    def close(self) -> None:
        """All that is kept is on disk, and it says where something was left out."""
        self._trim()
        if self.left_out_bytes:
            self._put(f"\n[{self.left_out_bytes} bytes were left out here]\n".encode())
        self._put(bytes(self._tail))
        os.close(self._file)

    def _trim(self) -> None:
        surplus = len(self._tail) - _HALF_BYTES
        if surplus > 0:
            del self._tail[:surplus]
            self.left_out_bytes += surplus

    def _put(self, data: bytes) -> None:
        try:
            written = os.write(self._file, data)
        except OSError:
            written = 0
        if written < len(data):
            self._room = 0
            self.left_out_bytes += len(data) - written


def begin(home: Home, deploy: Deploy, number: int, output: Output) -> Keeping:
    """The output is kept under the release from now on; those of all but the last hundred releases are gone.

    Raises: MachineError.
    """
    folder = _folder(home, deploy, number)
    files.make_directories(folder, mode=0o700)
    _prune(folder.parent, number)
    write(home, deploy, number, output)
    try:
        return Keeping(folder / f"{output.part}.out")
    except OSError as error:
        raise files.refused(error, f"keep the output of {output.part}") from error


def write(home: Home, deploy: Deploy, number: int, output: Output) -> None:
    """This is what is known of how the command ended. Raises: MachineError."""
    path = _folder(home, deploy, number) / f"{output.part}.json"
    files.replace(path, write_document(output).encode(), mode=0o600)


def sweep(home: Home, deploy: Deploy) -> None:
    """No half-written file is left of a command that was killed."""
    for folder in (home.run(deploy) / "outputs").glob("v*"):
        files.sweep(folder)


def read_all(home: Home, deploy: Deploy, number: int) -> tuple[KeptOutput, ...]:
    """What is kept of the release, in the order in which it was run. Raises: InvalidDocument, MachineError."""
    found = [output for part in Part if (output := read(home, deploy, number, part)) is not None]
    return tuple(sorted(found, key=lambda kept: kept.output.started_at))


def read(home: Home, deploy: Deploy, number: int, part: Part) -> KeptOutput | None:
    """What is kept of this command of the release; None if it never ran. Raises: InvalidDocument, MachineError."""
    path = _folder(home, deploy, number) / f"{part}.json"
    output = documents.read(Output, path, name=f"run/outputs/v{number}/{path.name}")
    return None if output is None else KeptOutput(output, _text(path.with_suffix(".out")))


def _folder(home: Home, deploy: Deploy, number: int) -> Path:
    return home.run(deploy) / "outputs" / f"v{number}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise files.refused(error, f"read {path}") from error


def _prune(folder: Path, newest: int) -> None:
    others = sorted(number for number in _numbers(folder) if number != newest)
    for number in others[: max(0, len(others) + 1 - KEPT_RELEASES)]:
        try:
            files.remove_tree(folder / f"v{number}")
        except OSError as error:
            raise files.refused(error, f"remove {folder}/v{number}") from error


def _numbers(folder: Path) -> Iterator[int]:
    for path in folder.iterdir():
        if match := _RELEASE.fullmatch(path.name):
            yield int(match[1])
