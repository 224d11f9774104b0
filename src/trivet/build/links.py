"""Links from a layer to an earlier one, so that a program finds there what it looks for beside itself.

A program that resolves links (node does) sees an app's file as `layers/<digest>/server.js`, so what leads to another layer
leads to `../<digest of the other>/…`: it holds wherever the layers stand side by side under their digests.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from trivet.errors import StoreError
from trivet.host.files import remove_tree
from trivet.model.build_plan import Link

_WAY = ".layer"  # the one long link in a folder of links; ext4 keeps short ones in the inode, long ones take a block


def borrow(bundle: Path, folder: Path, link: Link) -> None:
    """The layer that is being made in the folder has a folder of its own at the link's path, full of links."""
    target = bundle / link.layer / link.path
    if _is_folder(target) and link.is_copied:
        _copy(_place(folder, link), target)
    elif _is_folder(target):
        _open_folder(_place(folder, link), target, f"{_up(link.path)}../{link.layer}/{link.path}")


def give_back(folder: Path, links: tuple[Link, ...]) -> None:
    """What was borrowed is gone, with all that was added. Raises: StoreError."""
    for link in links:
        place = _place(folder, link)
        if place.is_symlink():
            place.unlink()
        elif place.is_dir():
            remove_tree(place)


def connect(bundle: Path, folder: Path, link: Link) -> None:
    """The link leads to the stored layer: one link, or a folder of them if some are to lead to the layer in the folder.

    Raises: StoreError.
    """
    target, place = bundle / link.layer / link.path, _place(folder, link)
    if not _is_folder(target):
        return
    way = f"{_up(link.path)}../{(bundle / link.layer).readlink().name}/{link.path}"
    if any(_leads_out(path, target) for path in _links_within(target)):
        _open_folder(place, target, way)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(way)


def _place(folder: Path, link: Link) -> Path:
    """Where the link is to be: in the folder itself, wherever commands of the app would like it to be."""
    place = folder / link.path
    if place.parent.resolve() != folder.resolve() / Path(link.path).parent:
        raise StoreError(
            f"There is no place for {link.path} in the build: a folder above it is a symbolic link.",
            hint="Have the commands of the build leave the folders of the source as they are.",
        )
    return place


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _up(path: str) -> str:
    return "../" * path.count("/")


def _open_folder(place: Path, target: Path, way: str) -> None:
    """The place is a folder with links to the target. `way` is the one that a single link in its place would go."""
    place.mkdir(parents=True)
    (place / _WAY).symlink_to(f"../{way}")
    _fill(place, target, _WAY)


def _fill(place: Path, target: Path, way: str) -> None:
    """Each entry of the target is there: a link as it is, a folder that holds links as a folder, all else as a link."""
    for entry in _entries(target):
        here = place / entry.name
        if entry.is_symlink():
            here.symlink_to(Path(entry.path).readlink())
        elif entry.is_dir() and _holds_links(Path(entry.path)):
            here.mkdir()
            _fill(here, Path(entry.path), f"../{way}/{entry.name}")
        else:
            here.symlink_to(f"{way}/{entry.name}")


def _copy(place: Path, target: Path) -> None:
    """The place has copies of the target's files, which may be changed: the store's are read-only and shared."""
    place.mkdir(parents=True)
    for entry in _entries(target):
        here = place / entry.name
        if entry.is_symlink():
            here.symlink_to(Path(entry.path).readlink())
        elif entry.is_dir():
            _copy(here, Path(entry.path))
        else:
            shutil.copyfile(entry.path, here)
            here.chmod(0o755 if entry.stat().st_mode & 0o100 else 0o644)


def _holds_links(folder: Path) -> bool:
    return any(entry.is_symlink() for entry in _entries(folder))


def _entries(folder: Path) -> "tuple[os.DirEntry[str], ...]":
    with os.scandir(folder) as entries:
        return tuple(entries)


def _links_within(target: Path) -> Iterator[Path]:
    for entry in _entries(target):
        if entry.is_symlink():
            yield Path(entry.path)
        elif entry.is_dir() and _holds_links(Path(entry.path)):
            yield from _links_within(Path(entry.path))


def _leads_out(link: Path, folder: Path) -> bool:
    """Whether the link's target, as it is written, is outside the folder."""
    return not os.path.normpath(link.parent / link.readlink()).startswith(f"{folder}/")
