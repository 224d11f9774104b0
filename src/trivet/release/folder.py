"""The release's folder: release.json and env.age, complete on disk before the ledger names it, never written again.

env.age is the config version as it is stored, to the byte: sealed. A release of the empty config, version 0, has none.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from trivet.errors import InvalidName, UnknownRelease
from trivet.host.files import create_once, make_directories, refused, remove_tree, sync_directory
from trivet.model.config import Config
from trivet.model.document import read_document
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.names import Deploy, parse_app_name, parse_deploy_name
from trivet.model.release import Release
from trivet.release.entry import release_file
from trivet.release.vault import Vault

RELEASE_FILE = "release.json"
SIGNATURE_FILE = "release.sig"
SEALED_FILE = "env.age"
CHECKPOINT_FILE = "checkpoint"
_NAME = re.compile(r"v([1-9][0-9]{0,8})")


@frozen
class Found:
    """The numbers of the release folders, and of the release that is meant to run."""

    folders: frozenset[int]
    running: int | None

    def beyond(self, last: int) -> tuple[int, ...]:
        """The releases beyond the ledger's last one, lowest first: if there are any, its end was cut off or lost.

        A folder of the very next number alone is none: somebody may have been killed before the ledger named it.
        """
        unknown = {number for number in self.folders if number > last + 1}
        if self.running is not None and self.running > last:
            unknown.add(self.running)
        return tuple(sorted(unknown))


def write_folder(home: Home, release: Release, sealed: str) -> None:
    """The folder is complete and on disk, for its owner alone. `sealed` is the config as it is stored; "": there is none.

    The caller holds the number: a folder that is there already was left by somebody who was killed before the ledger
    named it, and goes. Raises: MachineError.
    """
    folder = home.release(release.deploy, release.number)
    _remove(folder)
    make_directories(folder.parent)
    make_directories(folder, mode=0o700)
    if sealed:
        create_once(folder / SEALED_FILE, sealed.encode(), mode=0o600)
    create_once(folder / RELEASE_FILE, release_file(release), mode=0o400)


def write_signature(home: Home, release: Release, signature: bytes) -> None:
    """The signature lies beside the release. Raises: MachineError."""
    create_once(home.release(release.deploy, release.number) / SIGNATURE_FILE, signature, mode=0o444)


def read_config_of(home: Home, vault: Vault, deploy: Deploy, number: int) -> Config:
    """The config of the release, from its folder. Raises: UnknownRelease, ConfigLocked, InvalidDocument, MachineError."""
    folder = home.release(deploy, number)
    content = read_if_there(f"{folder}/{RELEASE_FILE}")
    release = read_document(Release, content, name=f"v{number}/{RELEASE_FILE}") if content is not None else None
    if release is not None and release.config_version == 0:
        return Config()
    sealed = read_if_there(f"{folder}/{SEALED_FILE}")
    if release is None or sealed is None:
        missing = folder / (RELEASE_FILE if release is None else SEALED_FILE)
        raise UnknownRelease(
            f"{deploy} has no release v{number} on this machine: {missing} is missing.",
            hint="`trivet releases` lists what there is.",
        )
    name = f"v{number}/{SEALED_FILE} of {deploy}"
    return read_document(Config, vault.open(sealed.decode(errors="replace"), name=name), name=name)


def read_if_there(path: str) -> bytes | None:
    """The content of the file; None if there is none. Raises: MachineError."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  # paths of 100,000 files take a second to be made
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise refused(error, f"read {path}") from error


def remove_folders(home: Home, deploy: Deploy) -> None:
    """No release folder of the deploy is left, nor the values in them. Raises: MachineError."""
    folder = home.releases(deploy)
    _remove(folder)
    if folder.parent.is_dir():
        sync_directory(folder.parent)


def remove_destroyed(home: Home, deploy: Deploy, last: int) -> None:
    """No folder is left of the releases up to the last that was destroyed: whoever did it may have been killed.

    Raises: MachineError.
    """
    for number in _numbers(home, deploy) if last else ():
        if number <= last:
            _remove(home.release(deploy, number))


def has_more(home: Home, deploy: Deploy, last: int) -> bool:
    """Whether this machine has releases of the deploy beyond the ledger's last one; no more than three names are looked at.

    Only when the ledger knows of none are the folders listed: they are numbered without gaps, but not always from 1.
    Raises: MachineError.
    """
    running = _running(home, deploy)
    if running is not None and running > last:
        return True
    if home.release(deploy, last + 2).exists() or (home.release(deploy, last + 1) / CHECKPOINT_FILE).exists():
        return True
    return not last and any(number > 1 for number in _numbers(home, deploy))


def look_around(home: Home, deploy: Deploy) -> Found:
    """What this machine has of the deploy's releases, whatever the ledger says. Raises: MachineError."""
    return Found(frozenset(_numbers(home, deploy)), _running(home, deploy))


def look_at_disk(home: Home) -> Mapping[Deploy, Found]:
    """What this machine has of the releases of all deploys that have a folder, whatever the ledger says.

    Raises: MachineError.
    """
    try:
        paths = sorted(home.apps.glob("*/deploys/*"))
    except OSError as error:
        raise refused(error, f"read {home.apps}") from error
    deploys = []
    for path in paths:
        with contextlib.suppress(InvalidName):
            deploys.append(Deploy(parse_app_name(path.parts[-3]), parse_deploy_name(path.name)))
    return {deploy: look_around(home, deploy) for deploy in deploys}


def _numbers(home: Home, deploy: Deploy) -> Iterator[int]:
    folder = home.releases(deploy)
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return
    except OSError as error:
        raise refused(error, f"read {folder}") from error
    for name in names:
        if match := _NAME.fullmatch(name):
            yield int(match[1])


def _running(home: Home, deploy: Deploy) -> int | None:
    try:
        match = _NAME.fullmatch((home.run(deploy) / "current").readlink().name)
    except OSError:
        return None
    return int(match[1]) if match else None


def _remove(path: Path) -> None:
    try:
        remove_tree(path)
    except OSError as error:
        raise refused(error, f"remove {path}") from error
