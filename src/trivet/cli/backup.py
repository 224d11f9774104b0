"""`backup` and `restore`."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from trivet.cli.options import json_option, view, wait_option
from trivet.cli.output import print_json, print_table
from trivet.cli.place import installation
from trivet.errors import LedgerError
from trivet.flows.backup import BackedUp, BackupChoice, back_up
from trivet.flows.restore_backup import Restored, RestoredDeploy, restore_backup
from trivet.model.text import size

_FILE = click.Path(dir_okay=False, allow_dash=True, path_type=Path)
_STANDARD = Path("-")


@click.command()
@click.argument("file", type=_FILE)
@click.option(
    "-r",
    "--recipient",
    "recipients",
    multiple=True,
    metavar="KEY",
    help="Encrypt it for this age recipient or SSH public key, or for those in this file; may be given several times.",
)
@click.option("--storage", is_flag=True, help="Also what the apps keep in their storage folders.")
@click.option("--with-keys", is_flag=True, help="Put this installation's keys in although the backup is not encrypted.")
@wait_option
@click.option("-q", "--quiet", is_flag=True, help="Show errors and results only.")
@json_option
def backup(
    file: Path,
    recipients: tuple[str, ...],
    storage: bool,
    with_keys: bool,
    no_wait: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write this installation into one file, while its apps run.

    In it are the ledger, config, releases, and the contents of builds. Not in it are the apps' logs, and their storage
    unless --storage is given: a database of an app needs a backup of its own. The keys that open config and sign the
    ledger, and the URLs that are notified, are in an encrypted backup only, or with --with-keys.

    FILE is there whole or not at all; `-` writes to standard output.

    \b
    Examples:
      trivet backup /mnt/backup/trivet.age --recipient ~/.ssh/id_ed25519.pub
      trivet backup trivet.age -r age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p
      trivet backup - -r backup.pub --storage | ssh elsewhere 'cat > trivet.age'
    """
    choice = BackupChoice(recipients, with_keys, storage)
    if file == _STANDARD and (as_json or sys.stdout.isatty()):
        what = "JSON and the backup cannot both go" if as_json else "A backup does not go"
        raise click.UsageError(
            f"{what} to {'standard output' if as_json else 'a terminal'}. Name a file, or pipe it on."
        )
    with view(verbose=False, quiet=quiet) as progress:
        done = back_up(
            installation(no_wait=no_wait), sys.stdout.buffer if file == _STANDARD else file, choice, progress
        )
        if not done.announcement.has_keys:
            progress.notice("not encrypted, so without keys: to restore it, keep a copy of the folder keys elsewhere")
    if as_json:
        print_json({"file": str(file), "encrypted": bool(recipients), **_document(done)})
    else:
        click.echo(_told(file, done, is_encrypted=bool(recipients)), err=file == _STANDARD)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "-i",
    "--identity",
    "identities",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file of an age identity or an SSH private key that opens the backup; may be given several times.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show errors and results only.")
@json_option
def restore(file: Path, identities: tuple[Path, ...], quiet: bool, as_json: bool) -> None:
    """Bring an installation back from its backup.

    It goes into $TRIVET_HOME, which has to be empty. Everything is unpacked and verified first, then moved into place, and
    nothing is started: `trivet up` starts what ran. If anything fails, the home is empty as before.

    \b
    Examples:
      trivet restore trivet.age --identity ~/.ssh/id_ed25519
      age -d trivet.age | trivet restore -
      TRIVET_HOME=/srv/trivet trivet restore trivet.age -i key.txt
    """
    place = installation()
    with view(verbose=False, quiet=quiet) as progress, _opened(file) as opened:
        done = restore_backup(place, opened, identities, progress)
        if not done.announcement.has_keys:
            progress.notice(f"the backup held no keys: put yours back into {place.home.keys} before `trivet up`")
    if as_json:
        print_json(
            {
                "made_at": done.announcement.created_at,
                "deploys": [_deploy_document(each) for each in done.deploys],
                "verified": done.verification.fault is None,
            }
        )
    else:
        _print_restored(done)
    _check(done)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if file == _STANDARD:
        yield sys.stdin.buffer
        return
    with file.open("rb") as opened:
        yield opened


def _told(file: Path, done: BackedUp, *, is_encrypted: bool) -> str:
    announcement = done.announcement
    kind = "encrypted" if is_encrypted else "not encrypted"
    storage = "with" if announcement.has_storage else "without"
    keys = "with" if announcement.has_keys else "without"
    name = "standard output" if file == _STANDARD else str(file)
    return f"{name}: {announcement.files} files in {size(done.size_bytes)}, {kind}, {keys} keys, {storage} the apps' storage"


def _document(done: BackedUp) -> dict[str, object]:
    announcement = done.announcement
    return {
        "created_at": announcement.created_at,
        "files": announcement.files,
        "size_bytes": done.size_bytes,
        "keys": announcement.has_keys,
        "storage": announcement.has_storage,
        "left_out": [{"path": path, "reason": why} for path, why in done.left_out],
    }


def _print_restored(done: Restored) -> None:
    print_table(("DEPLOY", "RELEASE", "COMMIT", "STATE"), [_row(each) for each in done.deploys], nothing="")
    announcement = done.announcement
    click.echo(
        f"restored from the backup of {announcement.created_at[:19]}Z by {announcement.made_by}; trivet up starts it"
    )


def _row(each: RestoredDeploy) -> tuple[str, ...]:
    commit = (each.commit or "-")[:8]
    if each.release is None:
        return (str(each.deploy), "-", commit, "no good release")
    state = "ready" if each.is_ready else f"its build is not whole: deploy {commit} again"
    return (str(each.deploy), f"v{each.release}", commit, state)


def _deploy_document(each: RestoredDeploy) -> dict[str, object]:
    return {
        "app": each.deploy.app,
        "deploy": each.deploy.name,
        "release": each.release,
        "commit": each.commit,
        "ready": each.is_ready,
    }


def _check(done: Restored) -> None:
    """Raises: LedgerError, if the ledger that was restored is not what was once written."""
    fault = done.verification.fault
    if fault is not None:
        where = f"entry {fault.position}: " if fault.position is not None else ""
        raise LedgerError(
            f"The ledger is not what was once written, and was not when the backup was made: {where}{fault.reason}.",
            hint="It is restored as it was, and nothing was started. `trivet releases verify` says the same.",
        )


COMMANDS = (backup, restore)
