"""Packing: what of an installation goes into a backup, collected first, then read piece by piece while it is written."""

import contextlib
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from trivet import __version__
from trivet.errors import ConfigLocked
from trivet.flows.installation import Progress
from trivet.host import archive
from trivet.host.archive import Kind, Member
from trivet.host.clock import now
from trivet.host.files import refused
from trivet.host.tree import hash_file
from trivet.model.backup import (
    ANNOUNCEMENT,
    CONFIG_KEY,
    DATABASE,
    FORMAT,
    LONGEST,
    Announcement,
    Part,
    digest_of,
    is_link_of,
    part_of,
)
from trivet.model.document import write_document
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.release import Actor
from trivet.model.text import size
from trivet.release import Keeping, examine_key

_TOPS = ("keys", "notify", "domains", "apps", "objects")
_PIECE_BYTES = 1 << 20
_TOLD_PARTS = 20
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@frozen
class _Entry:
    """A member, where its content is, and what part of the installation it is. `opened` goes before the source."""

    member: Member
    source: Path
    part: Part
    opened: BinaryIO | None = None


class Packing:
    """One backup being made. `left_out` are the paths that could not go into it, and why."""

    def __init__(self, home: Home, progress: Progress, *, with_keys: bool, with_storage: bool) -> None:
        self._home = home
        self._progress = progress
        self._with_keys = with_keys
        self._with_storage = with_storage
        self._entries: list[_Entry] = []
        self.left_out: list[tuple[str, str]] = []

    def collect(self, database: BinaryIO, actor: Actor) -> Announcement:
        """It is known what is to be packed, a copy of the database first. Raises: MachineError."""
        status = os.fstat(database.fileno())
        member = Member(DATABASE, Kind.FILE, status.st_size, 0o600, int(status.st_mtime))
        self._entries.append(_Entry(member, self._home.database, Part.DATABASE, database))
        if self._with_keys:
            self._add_config_key()
        for top in _TOPS:
            self._walk(top)
        return Announcement(
            format=FORMAT,
            created_at=now(),
            made_by=str(actor),
            tool_version=__version__,
            files=len(self._entries),
            size_bytes=sum(entry.member.size_bytes for entry in self._entries),
            has_keys=self._with_keys,
            has_storage=self._with_storage,
        )

    def pack(self, announcement: Announcement) -> Iterator[bytes]:
        """All of it as a tar, behind the announcement."""
        text = write_document(announcement).encode()
        yield from archive.pack(Member(ANNOUNCEMENT, Kind.FILE, len(text)), [text])
        total = size(announcement.size_bytes)
        self._progress.step("backup", f"packing {announcement.files} files, {total}")
        done, told = 0, 0
        for entry in self._entries:
            yield from self._pack(entry)
            done += entry.member.size_bytes
            if (part := done * _TOLD_PARTS // max(1, announcement.size_bytes)) > told:
                told = part
                self._progress.output(f"{size(done)} of {total}")

    def _pack(self, entry: _Entry) -> Iterator[bytes]:
        member = entry.member
        if member.kind is not Kind.FILE:
            yield from archive.pack(member)
            return
        if entry.opened is not None:
            yield from archive.pack(member, _pieces(entry.opened))
            return
        try:
            if entry.part is Part.OBJECT and hash_file(entry.source) != digest_of(member.path):
                self._leave_out(member.path, "it is not what its name says")
                return
            descriptor = self._open(entry)
        except OSError as error:
            self._leave_out(member.path, os.strerror(error.errno or 0))
            return
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            yield from archive.pack(member, _pieces(file))

    def _walk(self, top: str) -> None:
        folders = [top]
        while folders:  # not by recursion: an app may have folders in folders as deep as it likes
            folder = folders.pop()
            for entry in self._list(folder):
                path = f"{folder}/{entry.name}"
                if len(path) > LONGEST:
                    self._leave_out(path[:60] + "…", "its path is too long")
                    continue
                if part_of(path) is Part.STORAGE and not self._with_storage:
                    continue
                with contextlib.suppress(FileNotFoundError):  # gone meanwhile: somebody destroyed the app
                    self._add(path, Path(entry.path), entry.stat(follow_symlinks=False))
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)

    def _list(self, folder: str) -> list["os.DirEntry[str]"]:
        place = self._home.root / folder
        try:
            with os.scandir(place) as found:
                return sorted(found, key=lambda entry: entry.name)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise refused(error, f"read {place}") from error

    def _add(self, path: str, source: Path, status: os.stat_result) -> None:
        part = part_of(path)
        if part is None or (part is Part.KEY and not self._with_keys):
            return
        member = _member(path, part, source, status)
        if member is not None:
            self._entries.append(_Entry(member, source, part))
        elif not stat.S_ISDIR(status.st_mode):
            self._leave_out(path, "it is no file, and no link to what is in the backup")

    def _add_config_key(self) -> None:
        """The key that opens the config is packed as a file of its own, wherever this machine has it from."""
        try:
            key = examine_key(self._home)
        except ConfigLocked as error:
            self._leave_out(CONFIG_KEY, error.message)
            return
        if key is not None and key.place.keeping is not Keeping.FILE:
            content = "".join(f"{identity}\n" for identity in key.identities).encode()
            member = Member(CONFIG_KEY, Kind.FILE, len(content), 0o600)
            self._entries.append(_Entry(member, key.place.path, Part.KEY, io.BytesIO(content)))

    def _leave_out(self, path: str, why: str) -> None:
        self.left_out.append((path, why))
        self._progress.notice(f"left out {path}: {why}")

    def _open(self, entry: _Entry) -> int:
        """The file, opened; whatever an app does to its storage meanwhile, nothing outside it is read. Raises: OSError."""
        if entry.part is not Part.STORAGE:
            return os.open(entry.source, _FILE)
        *folders, name = entry.member.path.split("/")
        with contextlib.ExitStack() as stack:
            descriptor = os.open(self._home.root, _FOLDER)
            stack.callback(os.close, descriptor)
            for folder in folders:
                descriptor = os.open(os.fsencode(folder), _FOLDER, dir_fd=descriptor)
                stack.callback(os.close, descriptor)
            return os.open(os.fsencode(name), _FILE, dir_fd=descriptor)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.read(_PIECE_BYTES), b"")


def _member(path: str, part: Part, source: Path, status: os.stat_result) -> Member | None:
    """The member that this is; None: none that a backup holds."""
    mode, changed_at = status.st_mode & 0o777, max(0, int(status.st_mtime))
    if stat.S_ISREG(status.st_mode) and part is not Part.BUILD_LINK:
        return Member(path, Kind.FILE, status.st_size, mode, changed_at)
    if stat.S_ISDIR(status.st_mode) and part is Part.STORAGE:
        return Member(path, Kind.FOLDER, 0, mode, changed_at)
    if stat.S_ISLNK(status.st_mode) and is_link_of(part, path, target := str(source.readlink())):
        return Member(path, Kind.LINK, 0, mode, changed_at, target)
    return None
