"""The place of environments, `$TRIVET_HOME/env`: a link to a folder of ours on a memory file system, or a folder itself."""

import hashlib
import os
import shutil
from pathlib import Path

from trivet.errors import MachineError
from trivet.host.files import make_directories, remove_tree, replace_link
from trivet.host.mounts import find_memory_folder, is_in_memory, is_ours
from trivet.model.frozen import frozen
from trivet.model.home import Home


@frozen
class EnvironmentPlace:
    """The folder that environments lie in, made or not, and whether nothing of it ever is on a disk."""

    path: Path
    in_memory: bool


def find_environment_place(home: Home) -> EnvironmentPlace:
    """Where environments lie, or would once one is written. Nothing is changed."""
    if (linked := _linked(home)) is not None:
        return EnvironmentPlace(linked, in_memory=True)
    if home.environments.is_dir():
        return EnvironmentPlace(home.environments, is_in_memory(home.environments))
    chosen = _choose(home)
    return EnvironmentPlace(chosen or home.environments, chosen is not None)


def make_place(home: Home) -> None:
    """The place is there: in memory if this machine lets us, for our user alone.

    A link that a reboot has left without its folder is mended; what lay on the disk until now moves into memory.
    Raises: OSError, MachineError.
    """
    if _linked(home) is not None:
        return
    chosen = _choose(home)
    if chosen is None:
        _make_folder(home.environments)
    else:
        _make_link(home.environments, chosen)


def _make_folder(place: Path) -> None:
    if place.is_symlink():
        place.unlink()
    make_directories(place, mode=0o700)


def _make_link(place: Path, folder: Path) -> None:
    make_directories(folder, mode=0o700)
    if not is_ours(folder):
        raise MachineError(
            f"{folder} is not for this user alone.", hint="Somebody else has made it: look who, then remove it."
        )
    if place.is_dir() and not place.is_symlink():
        shutil.copytree(place, folder, dirs_exist_ok=True)
        remove_tree(
            place
        )  # before the link: killed in between, nothing is left on the disk, and the link is made next time
    replace_link(place, str(folder))


def _linked(home: Home) -> Path | None:
    """The folder that the link leads to, if it is what it should be: ours, in memory, and of this very home."""
    try:
        folder = home.environments.readlink()
    except OSError:
        return None
    return folder if folder.name == _name(home) and is_ours(folder) and is_in_memory(folder) else None


def _choose(home: Home) -> Path | None:
    memory = find_memory_folder()
    return memory / "trivet" / _name(home) if memory is not None else None


def _name(home: Home) -> str:
    """Another home has another one: also a copy of this one, in which the link is copied too."""
    return hashlib.sha256(os.fsencode(home.root.resolve())).hexdigest()[:16]
