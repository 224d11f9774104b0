"""Backup: an installation in one file, taken while its apps run. docs/how-to/back-up-and-restore.md"""

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from trivet.errors import InputError, LedgerError
from trivet.flows.installation import Installation, Progress
from trivet.flows.packing import Packing
from trivet.host import archive, database, encryption
from trivet.host.files import refused
from trivet.host.whole_file import writing
from trivet.model.backup import DATABASE, Announcement
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.release import Ledger


@frozen
class BackupChoice:
    """What a person asked for. `recipients` are age or SSH ones, or files of them; without any, nothing is encrypted."""

    recipients: tuple[str, ...] = ()
    with_keys: bool = False
    with_storage: bool = False

    @property
    def has_keys(self) -> bool:
        """Keys go where only a recipient sees them, unless somebody insists."""
        return self.with_keys or bool(self.recipients)


@frozen
class BackedUp:
    """What a backup holds, how large it is, and what could not go into it (paths, and why)."""

    announcement: Announcement
    size_bytes: int
    left_out: tuple[tuple[str, str], ...]


def back_up(installation: Installation, target: Path | BinaryIO, choice: BackupChoice, progress: Progress) -> BackedUp:
    """The target holds the installation, whole; a file that it was is replaced. Apps run on meanwhile.

    Deploys are waited for, and wait, until it is known what there is; nothing is pruned before the end.
    Raises: InputError, Busy, LedgerError (the database is damaged), MachineError.
    """
    home = installation.home
    if not home.database.exists():
        raise InputError(
            f"There is nothing to back up in {home.root}.", hint="Deploy something first, or set TRIVET_HOME."
        )
    recipients = tuple(key for each in choice.recipients for key in _recipients(each))
    with installation.using_store(progress), contextlib.ExitStack() as stack:
        packing = Packing(home, progress, with_keys=choice.has_keys, with_storage=choice.with_storage)
        with _at_rest(installation, progress):
            progress.step("backup", "copying the database")
            snapshot = stack.enter_context(_copy_database(home))
            announcement = packing.collect(snapshot, installation.actor)
        with _opened(target) as file:
            counted = _Counted(file)
            _write(archive.compress(packing.pack(announcement)), recipients, counted.write)
        return BackedUp(announcement, counted.size_bytes, tuple(packing.left_out))


@contextlib.contextmanager
def _at_rest(installation: Installation, progress: Progress) -> Iterator[None]:
    """No deploy is in the middle of a release, so that what the ledger says and what lies in the folders belong together."""
    with Ledger(installation.home) as ledger:
        deploys = ledger.deploys()
    with contextlib.ExitStack() as locks:
        for deploy in deploys:
            locks.enter_context(installation.working_on(deploy, "backup", progress))
        yield


class _Counted:
    """A file that is written to, and how much was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size_bytes = 0

    def write(self, content: bytes) -> None:
        self._file.write(content)
        self.size_bytes += len(content)


def _write(content: Iterable[bytes], recipients: tuple[object, ...], write: Callable[[bytes], None]) -> None:
    if recipients:
        encryption.encrypt(content, recipients, write)
        return
    for piece in content:
        write(piece)


@contextlib.contextmanager
def _opened(target: Path | BinaryIO) -> Iterator[BinaryIO]:
    if not isinstance(target, Path):
        yield target
        target.flush()
        return
    if target.exists() and not target.is_file():
        raise InputError(
            f"{target} is no file.", hint="Name the file that is to become the backup, or - for standard output."
        )
    try:
        with writing(target.absolute()) as file:
            yield file
    except OSError as error:
        raise refused(error, f"write {target}") from error


def _copy_database(home: Home) -> BinaryIO:
    """A copy of the database as it is now, in a file that has no name any more: nothing is left of it if we are killed."""
    try:
        with tempfile.TemporaryDirectory(prefix="trivet-backup-") as folder:
            copy = Path(folder) / DATABASE
            database.copy(home.database, copy)
            return copy.open("rb")
    except sqlite3.Error as error:
        raise database.refusal(error, home.database) or LedgerError(
            f"The database {home.database} cannot be backed up: {error}.",
            hint="`trivet releases verify` says more. What runs is not touched; an earlier backup stays as it is.",
        ) from error


def _recipients(text: str) -> Iterator[object]:
    """The recipient that the text is, or those of the file that it names. Raises: InputError."""
    lines = [text]
    if not text.startswith(("age1", "ssh-")):
        try:
            lines = [line.strip() for line in Path(text).expanduser().read_text(errors="replace").splitlines()]
        except OSError as error:
            raise _no_recipient(text, os.strerror(error.errno or 0)) from error
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys:
        raise _no_recipient(text, "the file holds none")
    for key in keys:
        try:
            yield encryption.parse_recipient(key)
        except ValueError as error:
            raise _no_recipient(text, str(error)) from error


def _no_recipient(text: str, why: str) -> InputError:
    return InputError(
        f"{text!r} is no recipient of a backup: {why}.",
        hint="Give an age recipient (age1…), an SSH public key (ssh-ed25519 …), or a file of them: "
        "--recipient ~/.ssh/id_ed25519.pub",
    )
