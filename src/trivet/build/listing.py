"""Listing: what a commit's tree holds, read before a byte of it is exported, so that none of it is too much or leads out.

A few hundred bytes of trees can name billions of files, and a tree that no git has checked can have any name in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from trivet.errors import SourceError
from trivet.model.frozen import frozen

MOST_FILES = 1_000_000
MOST_BYTES = 32 << 30

_LONGEST_PATH_BYTES = 3500  # of the 4096 that Linux takes, the rest for the folder that it is exported to
_LONGEST_NAME_BYTES = 255
_CHUNK_BYTES = 1 << 16
_GITLINK = "160000"


@dataclass(slots=True)
class Budget:
    """How much a source, with its submodules, may still hold."""

    files: int = MOST_FILES
    size_bytes: int = MOST_BYTES

    def spend(self, size_bytes: int, files: int = 0) -> None:
        """So much of it is gone. Raises: SourceError if there was not so much."""
        self.files -= files
        self.size_bytes -= size_bytes
        if self.files < 0 or self.size_bytes < 0:
            limit = f"{MOST_FILES:,} files" if self.files < 0 else f"{MOST_BYTES >> 30} GB"
            raise SourceError(
                f"The commit holds more than {limit}, which is more than a source may.",
                hint="Keep data out of the repository, or build a sub-folder of it with --dir.",
            )


@frozen
class Listing:
    """Whether there is any file, and the submodules: path and commit of each."""

    has_files: bool
    submodules: tuple[tuple[str, str], ...]


def read_listing(stream: IO[bytes], budget: Budget) -> Listing:
    """The listing that git writes (`Objects.list_tree`). Raises: SourceError for what may not be exported."""
    has_files, submodules = False, []
    for mode, name, size, path in _entries(stream):
        check_path(path)
        budget.spend(size, files=1)
        has_files = has_files or mode != "040000"
        if mode == _GITLINK:
            submodules.append((path, name))
    return Listing(has_files, tuple(submodules))


def check_path(path: str) -> None:
    """The path stays where it is put. Raises: SourceError."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise SourceError(f"The commit holds the path {path!r}.", hint="Remove it: paths stay inside the source.")
    if any(part.lower() == ".git" for part in parts):
        raise SourceError(
            f"The commit holds the path {path!r}.",
            hint="Remove it: git takes what is in a folder .git for its settings.",
        )
    if len(path) > _LONGEST_PATH_BYTES or any(len(part) > _LONGEST_NAME_BYTES for part in parts):
        raise SourceError(
            f"The commit holds a path of {len(path)} characters, which no folder can take: {path[:60]!r}…",
            hint="Give its files and folders shorter names.",
        )


def below(path: str, directory: str) -> str:
    """The path as seen from the folder."""
    return PurePosixPath(path).relative_to(directory).as_posix() if directory else path


def _entries(stream: IO[bytes]) -> Iterator[tuple[str, str, int, str]]:
    """Mode, object, size and path of each."""
    rest = b""
    while chunk := stream.read(_CHUNK_BYTES):
        *whole, rest = (rest + chunk).split(b"\0")
        for entry in whole:
            facts, _, path = entry.partition(b"\t")
            mode, _, name, size = facts.decode().split()
            yield mode, name, int(size) if size.isdecimal() else 0, path.decode(errors="surrogateescape")
        if len(rest) > 64 * _CHUNK_BYTES:
            check_path(rest.partition(b"\t")[2].decode(errors="surrogateescape"))
