"""Tree: a folder's content under one digest, the same whatever its times, its owners and the order on disk.

The digest of a folder is the sha256 over one record for each of its entries, sorted by name as bytes:

    kind SP value NUL name NUL

with kind `file` or `program` (a file that may be executed; the value is the sha256 of its content), `link` (sha256 of its
target) or `tree` (the digest of the folder); values in hex. Modes are nothing but that: 0444, and 0555 for programs and folders.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trivet.errors import StoreError


@dataclass(frozen=True, slots=True)
class TreeFile:
    """One regular file. `links` is how many names its inode has."""

    path: Path
    digest: str
    is_program: bool
    size_bytes: int
    links: int


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder that was read: its digest, and its files."""

    digest: str
    files: tuple[TreeFile, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def read_tree(folder: Path) -> Tree:
    """The folder's tree; every file of it was read. Raises: StoreError for a socket, a pipe or a device."""
    files: list[TreeFile] = []
    return Tree(_digest_folder(folder, files), tuple(files))


def hash_file(path: Path) -> str:
    """The sha256 of the file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_folder(folder: Path, files: list[TreeFile]) -> str:
    digest = hashlib.sha256()
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: os.fsencode(entry.name)):
            kind, value = _digest_entry(entry, files)
            digest.update(f"{kind} {value}".encode() + b"\0" + os.fsencode(entry.name) + b"\0")
    return digest.hexdigest()


def _digest_entry(entry: "os.DirEntry[str]", files: list[TreeFile]) -> tuple[str, str]:
    path = Path(entry.path)
    status = entry.stat(follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        return "tree", _digest_folder(path, files)
    if stat.S_ISLNK(status.st_mode):
        return "link", hashlib.sha256(os.fsencode(path.readlink())).hexdigest()
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(
            f"The build left a socket, pipe or device behind: {entry.name!r}.",
            hint="Have the command of the build remove it: a build consists of files, folders and links.",
        )
    file = TreeFile(path, hash_file(path), bool(status.st_mode & 0o111), status.st_size, status.st_nlink)
    files.append(file)
    return "program" if file.is_program else "file", file.digest


def folders_of(folder: Path) -> Iterator[Path]:
    """Every folder in the folder, and the folder itself, the deepest first."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from folders_of(Path(entry.path))
    yield folder
