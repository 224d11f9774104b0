"""A tar stream from git becomes files: nothing outside the folder is written or pointed at."""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from trivet.errors import SourceError

_CHUNK_BYTES = 1 << 20


def unpack(stream: IO[bytes], folder: Path, prefix: str) -> None:
    """The files below `prefix` ("" for all) are in the folder, executable or not as committed, without setuid bits.

    Raises: SourceError for a link that leads out of the folder and for what is neither file, folder nor link, EOFError.
    """
    try:
        links = list(_unpack_all_but_links(stream, folder, prefix))
    except tarfile.ReadError as error:
        raise EOFError(str(error)) from error
    _make_links(folder, links)


def _unpack_all_but_links(stream: IO[bytes], folder: Path, prefix: str) -> Iterator[tuple[str, str]]:
    """Yields the links, name and target: they come last, so that no file is ever written through one."""
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            name = _name_below(prefix, member.name)
            if name is None:
                continue
            if member.isdir():
                (folder / name).mkdir(parents=True, exist_ok=True)
            elif member.issym():
                yield name, member.linkname
            elif member.isreg():
                _write(archive, member, folder / name)
            else:
                raise SourceError(
                    f"The commit holds {name!r}, which is neither a file nor a folder nor a symbolic link.",
                    hint="Remove it from the commit.",
                )


def _name_below(prefix: str, name: str) -> str | None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise SourceError(f"The commit holds the path {name!r}.", hint="Remove it: paths stay inside the source.")
    if prefix and not path.is_relative_to(prefix):
        return None
    below = path.relative_to(prefix).as_posix() if prefix else path.as_posix()
    return None if below == "." else below


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = archive.extractfile(member)
    assert content is not None
    mode = 0o755 if member.mode & 0o100 else 0o644
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        while chunk := content.read(_CHUNK_BYTES):
            file.write(chunk)


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
