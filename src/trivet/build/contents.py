"""Contents: which objects and tree objects layers consist of, and how much of the disk those take."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from trivet.build.objects import object_path
from trivet.build.trees import Trees
from trivet.host.tree import read_tree
from trivet.model.home import Home

_BLOCK_BYTES = 512  # what st_blocks counts. stat(2)


@dataclass(slots=True)
class Contents:
    """The union of what layers consist of: digests of tree objects, and paths of objects."""

    trees: set[str] = field(default_factory=set)
    objects: set[str] = field(default_factory=set)


class Marking:
    """Finds what layers consist of, each part once."""

    def __init__(self, home: Home, trees: Trees) -> None:
        self._home = home
        self._trees = trees
        self.marked = Contents()

    def mark(self, layers: Iterable[str]) -> set[str]:
        """These layers are marked, too; the paths of the objects that were not before."""
        before = set(self.marked.objects)
        for layer in layers:
            if self._trees.has(layer):
                self._walk(layer)
            elif (self._home.layers / layer).is_dir():
                self._read(self._home.layers / layer)
        return self.marked.objects - before

    def _walk(self, digest: str) -> None:
        if digest in self.marked.trees:
            return
        self.marked.trees.add(digest)
        for record in self._trees.records(digest):
            if record.kind == "tree":
                self._walk(record.value)
            elif record.kind == "link":
                self.marked.trees.add(record.value)
            else:
                self._add_object(record.value, is_program=record.kind == "program")

    def _read(self, folder: Path) -> None:
        """A layer that was checked out before there were tree objects."""
        for file in read_tree(folder).files:
            self._add_object(file.digest, is_program=file.is_program)

    def _add_object(self, digest: str, *, is_program: bool) -> None:
        self.marked.objects.add(object_path(self._home.objects, digest, is_program=is_program))


def all_objects(home: Home) -> set[str]:
    """The path of every object, and of whatever else lies among them."""
    root = str(home.objects)
    try:
        shards = os.listdir(root)  # noqa: PTH208
    except FileNotFoundError:
        return set()
    return {f"{root}/{shard}/{name}" for shard in shards for name in os.listdir(f"{root}/{shard}")}  # noqa: PTH208


def size_of_objects(paths: Iterable[str]) -> int:
    """What they take on the disk."""
    return sum(_blocks(path) for path in paths)


def size_of_checkout(folder: Path) -> int:
    """What only the checkout takes: its folders. The contents of its files are its objects' as well."""
    with os.scandir(folder) as entries:
        below = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    return _blocks(str(folder)) + sum(size_of_checkout(each) for each in below)


def size_of_folder(folder: Path) -> int:
    """What the folder takes, with all that is in it."""
    total = _blocks(str(folder))
    for above, folders, files in os.walk(folder):
        total += sum(_blocks(f"{above}/{name}") for name in (*folders, *files))
    return total


def is_whole(paths: Iterable[str], empty: str) -> bool:
    """Whether all of these objects are there, but the empty one, which never is."""
    return all(os.path.exists(path) for path in paths if not path.startswith(empty))  # noqa: PTH110


def _blocks(path: str) -> int:
    try:
        return os.lstat(path).st_blocks * _BLOCK_BYTES
    except FileNotFoundError:
        return 0
