"""Restore a backup: an installation is on this machine again, as it was, with nothing of it running yet.

Everything is unpacked, looked at and put on disk in a folder of its own in $TRIVET_HOME, and moved to its place at the end,
the database last: a restore that ends early, however it ends, leaves an empty home.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from trivet.build import check_out
from trivet.errors import Busy, InputError, InvalidBackup
from trivet.flows.installation import Installation, Progress
from trivet.flows.unpacking import Unpacked, damaged
from trivet.host import encryption
from trivet.host.archive import BEGINNING, Unpacking
from trivet.host.files import make_directories, refused, remove_tree, sync_directory, sync_file_system
from trivet.model.backup import DATABASE, Announcement
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.verification import Verification
from trivet.release import Ledger
from trivet.run import Machine

_STAGING = "restoring"
_MOVING = "moving"  # in it, once it is whole
_MOVED = ("apps", "keys", "layers", "notify", "objects")
_PIECE_BYTES = 1 << 16


@frozen
class RestoredDeploy:
    """A deploy, the release that serves once it is up (None: it has no good one), and whether its build can be started."""

    deploy: Deploy
    release: int | None
    commit: str | None
    is_ready: bool


@frozen
class Restored:
    """What was restored, from what, and whether its ledger is what was once written."""

    announcement: Announcement
    deploys: tuple[RestoredDeploy, ...]
    verification: Verification


def restore_backup(
    installation: Installation, backup: BinaryIO, identities: tuple[Path, ...], progress: Progress
) -> Restored:
    """The installation that the backup holds is in $TRIVET_HOME, which was empty.

    Raises: InputError (it is not), InvalidBackup, Busy, MachineError; then it is empty again.
    """
    opening = [_read_identities(path) for path in identities]
    keys = encryption.Identities(tuple(key for each in opening for key in each.keys))
    home = installation.home
    with _staging(home) as staging:
        unpacked = Unpacked(staging.root, progress)
        try:
            _unpack(backup, keys, unpacked)
            unpacked.finish()
        except OSError as error:
            raise refused(error, "unpack the backup") from error
        finally:
            unpacked.close()
        if not staging.database.is_file():
            raise damaged("it holds no database")
        progress.step("restore", "verifying the ledger, checking out what is to run")
        deploys = _make_ready(staging)
        with Ledger(staging) as ledger:
            verification = ledger.verify()
        _move_in(staging, home)
    return Restored(unpacked.announcement, deploys, verification)


def _unpack(backup: BinaryIO, keys: encryption.Identities, unpacked: Unpacked) -> None:
    beginning = backup.read(_PIECE_BYTES)
    archive = Unpacking(unpacked)
    try:
        if beginning.startswith(encryption.BEGINNINGS):
            if not keys.keys:
                raise InvalidBackup(
                    "The backup is encrypted.",
                    hint="Name the file of an identity that opens it: --identity ~/.ssh/id_ed25519",
                )
            encryption.decrypt(beginning, backup, keys, archive.feed)
        elif not beginning.startswith(BEGINNING):
            raise damaged("it is no backup of Trivet")
        else:
            archive.feed(beginning)
            while piece := backup.read(_PIECE_BYTES):
                archive.feed(piece)
        archive.finish()
    except encryption.NotOpened as error:
        raise InvalidBackup(
            "None of the identities opens the backup: it was made for others, or its beginning is damaged.",
            hint="Name the right file with --identity; `age-inspect`, or the first lines of the backup, tell for whom it is.",
        ) from error
    except ValueError as error:
        raise damaged(str(error)) from error


def _make_ready(staging: Home) -> tuple[RestoredDeploy, ...]:
    """Every deploy's release that is to run is chosen, and its build checked out."""
    with Ledger(staging) as ledger:
        current = {deploy: ledger.current(deploy) for deploy in ledger.deploys()}
    restored = []
    for deploy, record in current.items():
        is_ready = record is not None and check_out(staging, record.release.build)
        if record is not None:
            Machine(staging).appoint(deploy, record.release.number)
        number, commit = (record.release.number, record.release.build.source.commit) if record else (None, None)
        restored.append(RestoredDeploy(deploy, number, commit, is_ready))
    return tuple(restored)


@contextlib.contextmanager
def _staging(home: Home) -> Iterator[Home]:
    """A folder of our own in the home, which holds nothing else; it is gone afterwards. Raises: InputError, Busy."""
    root, is_new = home.root / _STAGING, not home.root.exists()
    _refuse_full(home)
    make_directories(root, mode=0o700)
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with _locked(descriptor, home):
            _clear(home)
            yield Home(root)
        remove_tree(root)
    except Busy:
        raise
    except BaseException:
        _clear(home)
        remove_tree(root)
        if is_new:
            home.root.rmdir()
        raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(descriptor: int, home: Home) -> Iterator[None]:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Busy(
            f"Another restore into {home.root} is at work.", hint="Wait for it to end, then try again."
        ) from error
    yield


def _clear(home: Home) -> None:
    """The home is empty again, but for our folder: a restore that was killed may have begun to move in."""
    root = home.root / _STAGING
    if (root / _MOVING).exists() and not home.database.exists():
        for name in _MOVED:
            remove_tree(home.root / name)
    for left in root.iterdir():
        remove_tree(left)


def _refuse_full(home: Home) -> None:
    names = {path.name for path in home.root.iterdir()} if home.root.is_dir() else set()
    if (home.root / _STAGING / _MOVING).exists() and DATABASE not in names:
        names -= set(_MOVED)
    if found := sorted(names - {_STAGING}):
        raise InputError(
            f"{home.root} is not empty: it holds {', '.join(found[:5])}{' and more' if len(found) > 5 else ''}.",
            hint="A backup is restored into an empty home only. Choose another with TRIVET_HOME; or, if nothing in this one is "
            f"needed: trivet down, then mv {home.root} {home.root}.old, then restore again.",
        )


def _move_in(staging: Home, home: Home) -> None:
    """All of it is on disk and in its place. The database goes last: what it names is there."""
    (staging.root / _MOVING).touch()
    sync_file_system(staging.root)
    for name in (*_MOVED, DATABASE):
        if (staging.root / name).exists():
            (staging.root / name).rename(home.root / name)
    sync_directory(home.root)


def _read_identities(path: Path) -> encryption.Identities:
    try:
        return encryption.parse_identities(path.expanduser().read_bytes())
    except OSError as error:
        raise refused(error, f"read {path}") from error
    except ValueError as error:
        raise InputError(
            f"{path} holds no identity that opens a backup: {error}.",
            hint="Give an age identity file (AGE-SECRET-KEY-1…) or an SSH private key without a passphrase. With one: "
            f"age -d -i {path} BACKUP | trivet restore -",
        ) from error
