"""A tar stream from git becomes files: nothing outside the folder is written or pointed at."""

import os
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from trivet.build.large_files import LONGEST_POINTER_BYTES, is_pointer
from trivet.build.listing import Budget, below, check_path
from trivet.errors import SourceError

_CHUNK_BYTES = 1 << 20


def unpack(stream: IO[bytes], folder: Path, prefix: str) -> tuple[str, ...]:
    """The files below `prefix` ("" for all) are in the folder, executable or not as committed, without setuid bits.

    Returns the names of those that stand for large files. Raises: SourceError for a link that leads out of the folder,
    for what is neither file, folder nor link, for two things of one name, and for more than a source may hold; EOFError.
    """
    unpacking = _Unpacking(folder, prefix)
    try:
        unpacking.all_but_links(stream)
        _make_links(folder, unpacking.links)
    except tarfile.ReadError as error:
        raise EOFError(str(error)) from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        name = Path(str(error.filename2 or error.filename)).relative_to(folder).as_posix()
        raise SourceError(f"The commit holds {name!r} twice.", hint="`git fsck` tells which tree is wrong.") from error
    return tuple(unpacking.pointers)


@dataclass(slots=True)
class _Unpacking:
    """One stream on its way into a folder. Links come last, so that no file is ever written through one."""

    folder: Path
    prefix: str
    budget: Budget = field(default_factory=Budget)
    links: list[tuple[str, str]] = field(default_factory=list)
    pointers: list[str] = field(default_factory=list)

    def all_but_links(self, stream: IO[bytes]) -> None:
        """Files and folders are there; `links` has name and target of the rest."""
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                name = _name_below(self.prefix, member.name)
                if name is not None:
                    self._unpack(archive, member, name)

    def _unpack(self, archive: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> None:
        if member.isdir():
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        elif member.issym():
            self.links.append((name, member.linkname))
        elif member.isreg():
            self._write(archive, member, name)
        else:
            raise SourceError(
                f"The commit holds {name!r}, which is neither a file nor a folder nor a symbolic link.",
                hint="Remove it from the commit.",
            )

    def _write(self, archive: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = archive.extractfile(member)
        assert content is not None
        self.budget.spend(member.size)  # export-subst may have made it longer than the commit has it
        mode = 0o755 if member.mode & 0o100 else 0o644
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            while chunk := content.read(_CHUNK_BYTES):
                file.write(chunk)
                if member.size <= LONGEST_POINTER_BYTES and is_pointer(chunk):
                    self.pointers.append(name)


def _name_below(prefix: str, name: str) -> str | None:
    path = name.rstrip("/")
    if path == prefix or (prefix and not path.startswith(f"{prefix}/")):
        return None
    inside = below(path, prefix)
    check_path(inside)
    return inside


def _make_links(folder: Path, links: list[tuple[str, str]]) -> None:
    for name, target in links:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)
    top = folder.resolve()
    for name, target in links:
        if target.startswith("/") or not _resolved(folder / name).is_relative_to(top):
            raise SourceError(
                f"The symbolic link {name!r} leads out of the source, to {target!r}.",
                hint="Commit the file itself, or a relative link to a file of the app.",
            )


def _resolved(link: Path) -> Path:
    try:
        return link.resolve()
    except (OSError, RuntimeError):  # a link to itself leads nowhere, so not out
        return link.parent.resolve()
