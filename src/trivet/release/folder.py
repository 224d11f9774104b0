"""The release's folder: release.json and env.json, complete on disk before the ledger names it, never written again."""

from pathlib import Path

from trivet.host.files import create_once, make_directories, refused, remove_tree, sync_directory
from trivet.model.config import Config
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.release import Release
from trivet.release.entry import ReleaseBody, digest, env_file, release_file, salted_digest

RELEASE_FILE = "release.json"
ENV_FILE = "env.json"


def write_folder(home: Home, release: Release, config: Config) -> None:
    """The folder is complete and on disk, for its owner alone.

    The caller holds the number: a folder that is there already was left by somebody who was killed before the ledger
    named it, and goes. Raises: MachineError.
    """
    folder = home.release(release.deploy, release.number)
    _remove(folder)
    make_directories(folder.parent)
    make_directories(folder, mode=0o700)
    create_once(folder / ENV_FILE, env_file(config), mode=0o600)
    create_once(folder / RELEASE_FILE, release_file(release), mode=0o400)


def remove_folders(home: Home, deploy: Deploy) -> None:
    """No release folder of the deploy is left, nor the values in them. Raises: MachineError."""
    folder = home.releases(deploy)
    _remove(folder)
    if folder.parent.is_dir():
        sync_directory(folder.parent)


def find_change(home: Home, body: ReleaseBody) -> str | None:
    """What is wrong with the release's folder; None if it is as it was written, or gone altogether."""
    release = body.release
    folder = home.release(release.deploy, release.number)
    if not folder.is_dir():
        return None
    if (content := _read(folder / RELEASE_FILE)) is None:
        return f"{RELEASE_FILE} is missing"
    if digest(content) != body.release_digest:
        return f"{RELEASE_FILE} was changed"
    if (content := _read(folder / ENV_FILE)) is None:
        return f"{ENV_FILE} is missing"
    if salted_digest(body.env_salt, content) != body.env_digest:
        return f"{ENV_FILE} was changed"
    return None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refused(error, f"read {path}") from error


def _remove(path: Path) -> None:
    try:
        remove_tree(path)
    except OSError as error:
        raise refused(error, f"remove {path}") from error
