"""Tree: a folder's content under one digest, the same whatever its times, its owners and the order on disk.

The digest of a folder is the sha256 over one record for each of its entries, sorted by name as bytes:

    kind SP value NUL name NUL

with kind `file` or `program` (a file that may be executed; the value is the sha256 of its content), `link` (sha256 of its
target) or `tree` (the digest of the folder); values in hex. Modes are nothing but that: 0444, and 0555 for programs and folders.
"""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from operator import itemgetter
from pathlib import Path

from trivet.errors import StoreError
from trivet.model.frozen import frozen

_AT_ONCE_BYTES = 1 << 20
_DEEPEST = 200


@frozen
class TreeFile:
    """One regular file. `links` is how many names its inode has."""

    name: str
    digest: str
    is_program: bool
    size_bytes: int
    links: int

    @property
    def path(self) -> Path:
        return Path(self.name)


@frozen
class Tree:
    """A folder that was read: its digest, its files, and what else it consists of, by sha256.

    `folders` has the records of each folder in it, its own among them, `targets` those of its links.
    """

    digest: str
    files: tuple[TreeFile, ...]
    folders: Mapping[str, bytes]
    targets: Mapping[str, bytes]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


@frozen
class Record:
    """What a folder's records say of one entry: its kind, the sha256 in hex that stands for it, and its name."""

    kind: str
    value: str
    name: str


class Visitor:
    """Whoever has something to do with a tree while it is read, when each part of it is at hand anyway."""

    def open_up(self, path: str, mode: int) -> None:
        """What has this name and mode is about to be opened."""

    def take(self, file: TreeFile, content: bytes | None) -> None:
        """The file was read; None: it is too large to be held."""

    def leave(self, folder: str) -> None:
        """Everything in the folder was read."""


def read_tree(folder: Path, visitor: Visitor | None = None) -> Tree:
    """The folder's tree; every file of it was read.

    Raises: StoreError for a socket, a pipe or a device, and for folders in folders without end.
    """
    reading = _Reading(visitor or Visitor())
    digest = reading.read_folder(str(folder), 0)
    return Tree(digest, tuple(reading.files), reading.folders, reading.targets)


def read_records(content: bytes) -> Iterator[Record]:
    """The entries of a folder's records, in their order."""
    fields = content.split(b"\0")
    for head, name in zip(fields[::2], fields[1::2], strict=False):
        kind, _, value = head.decode().partition(" ")
        yield Record(kind, value, os.fsdecode(name))


def hash_file(path: str | Path) -> str:
    """The sha256 of the file's content, in hex."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123  # a Path costs more than opening the file
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_bytes(content: bytes) -> str:
    """The sha256 in hex."""
    return hashlib.sha256(content).hexdigest()


def read_whole(descriptor: int, size_bytes: int) -> bytes | None:
    """The content of an open file that was just opened and is that large; None if it is too large to be held, or is not."""
    if size_bytes > _AT_ONCE_BYTES:
        return None
    content = os.read(descriptor, size_bytes + 1)
    return content if len(content) == size_bytes else None


class _Reading:
    """One tree being read. Paths are texts: in the innermost loop a `Path` costs as much as opening a file."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self.files: list[TreeFile] = []
        self.folders: dict[str, bytes] = {}
        self.targets: dict[str, bytes] = {}

    def read_folder(self, folder: str, depth: int) -> str:
        if depth > _DEEPEST:
            raise StoreError(
                f"The build left folders in folders, more than {_DEEPEST} deep.",
                hint="Have the command of the build remove them: hardly any program can use paths that long.",
            )
        with os.scandir(folder) as entries:
            found = sorted(((os.fsencode(entry.name), entry) for entry in entries), key=itemgetter(0))
        content = b"".join(b"%b\0%b\0" % (self._read_entry(entry, depth), name) for name, entry in found)
        self._visitor.leave(folder)
        digest = hash_bytes(content)
        self.folders[digest] = content
        return digest

    def _read_entry(self, entry: "os.DirEntry[str]", depth: int) -> bytes:
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            self._visitor.open_up(entry.path, status.st_mode)
            return self._read_file(entry.path, status)
        if stat.S_ISDIR(status.st_mode):
            self._visitor.open_up(entry.path, status.st_mode)
            return b"tree " + self.read_folder(entry.path, depth + 1).encode()
        if stat.S_ISLNK(status.st_mode):
            target = os.fsencode(os.readlink(entry.path))  # noqa: PTH115
            digest = hash_bytes(target)
            self.targets[digest] = target
            return b"link " + digest.encode()
        raise StoreError(
            f"The build left a socket, pipe or device behind: {entry.name!r}.",
            hint="Have the command of the build remove it: a build consists of files, folders and links.",
        )

    def _read_file(self, path: str, status: os.stat_result) -> bytes:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            content = read_whole(descriptor, status.st_size)
            digest = _hash_open(descriptor) if content is None else hash_bytes(content)
        finally:
            os.close(descriptor)
        is_program = bool(status.st_mode & 0o111)
        file = TreeFile(path, digest, is_program, status.st_size, status.st_nlink)
        self.files.append(file)
        self._visitor.take(file, content)  # only now: a file that is open is removed ten times as slowly
        return (b"program " if is_program else b"file ") + digest.encode()


def _hash_open(descriptor: int) -> str:
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(os.fdopen(os.dup(descriptor), "rb", buffering=0))
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()
