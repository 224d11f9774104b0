"""Unpacking: a backup becomes files in a folder of their own. What it holds is not trusted: it comes from outside."""

import contextlib
import hashlib
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from trivet.errors import InvalidBackup, MachineError
from trivet.flows.installation import Progress
from trivet.host.archive import Kind, Member
from trivet.host.files import make_directories
from trivet.model.backup import ANNOUNCEMENT, FORMAT, Announcement, Part, digest_of, is_link_of, part_of
from trivet.model.document import read_document
from trivet.model.text import size

_LARGEST_ANNOUNCEMENT_BYTES = 64 * 1024
_TOLD_PARTS = 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE = (Part.DATABASE, Part.KEY, Part.PUBLIC_KEY, Part.RELEASE)
_HINT = "Nothing of it was kept. Take another backup, or make this one again."


class Unpacked:
    """Takes the members of a backup, in their order, and writes them below `root`, which nobody else writes."""

    def __init__(self, root: Path, progress: Progress) -> None:
        self._root = root
        self._progress = progress
        self._announcement: Announcement | None = None
        self._text = b""
        self._member = Member("", Kind.FILE)
        self._file: BinaryIO | None = None
        self._hash = hashlib.sha256()
        self._late: list[Member] = []
        self._files, self._bytes, self._told = 0, 0, 0

    @property
    def announcement(self) -> Announcement:
        """What the backup said of itself. Raises: InvalidBackup, if it has said nothing."""
        if self._announcement is None:
            raise damaged("it is no backup of Trivet")
        return self._announcement

    def begin(self, member: Member) -> None:
        self._member = member
        if self._announcement is None:
            if (member.path, member.kind) != (ANNOUNCEMENT, Kind.FILE):
                raise damaged("it is no backup of Trivet")
            if member.size_bytes > _LARGEST_ANNOUNCEMENT_BYTES:
                raise damaged("its first document is too large")
            return
        part = part_of(member.path)
        if part is None or not _may_be(part, member):
            raise damaged(f"it holds {member.path!r}, which no backup does")
        self._count(member)
        if member.kind is not Kind.FILE:
            self._late.append(member)  # nothing is written through a link, nor into a folder that may not be written
            return
        self._hash = hashlib.sha256()
        self._file = os.fdopen(os.open(self._place(member), _NEW, 0o600), "wb")

    def take(self, content: bytes) -> None:
        if self._announcement is None:
            self._text += content
        elif self._file is not None:
            self._file.write(content)
            self._hash.update(content)

    def end(self) -> None:
        if self._announcement is None:
            self._announcement = self._announced()
        elif self._file is not None:
            self._file.close()
            self._file = None
            self._check(self._member)
            _settle(self._root / self._member.path, self._member)

    def finish(self) -> None:
        """Links and folders are there, too."""
        for member in self._late:
            path = self._place(member)
            if member.kind is Kind.LINK:
                path.symlink_to(member.target)
            else:
                path.mkdir(mode=0o700, exist_ok=True)
        for member in reversed(self._late):
            if member.kind is Kind.FOLDER:
                _settle(self._root / member.path, member)

    def close(self) -> None:
        """No file is open any more."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()

    def _place(self, member: Member) -> Path:
        """Where it goes: into a folder that is there, and is none of another member's. Raises: InvalidBackup."""
        path = self._root / member.path
        if path.is_symlink() or (path.exists() and not (path.is_dir() and member.kind is Kind.FOLDER)):
            raise damaged(f"it holds {member.path!r} twice")
        for above in path.relative_to(self._root).parents:
            if (self._root / above).is_symlink() or (self._root / above).is_file():
                raise damaged(f"it holds {member.path!r}, which lies in no folder")
        make_directories(path.parent, mode=0o700)
        return path

    def _announced(self) -> Announcement:
        announcement = read_document(Announcement, self._text, name=ANNOUNCEMENT)
        if announcement.format != FORMAT:
            raise InvalidBackup(
                f"The backup has the form {announcement.format!r}, and this Trivet knows {FORMAT!r}.",
                hint=f"Restore it with the version that made it: {announcement.tool_version}.",
            )
        free_bytes = shutil.disk_usage(self._root).free
        if announcement.size_bytes > free_bytes:
            raise MachineError(
                f"The backup takes {size(announcement.size_bytes)}, and {size(free_bytes)} are free on the disk of "
                f"{self._root.parent}.",
                hint="Free some space (df -h shows where), or set TRIVET_HOME to a folder on another disk.",
            )
        self._progress.step("restore", f"unpacking {announcement.files} files, {size(announcement.size_bytes)}")
        return announcement

    def _count(self, member: Member) -> None:
        """No more comes than was announced. Raises: InvalidBackup."""
        announced = self.announcement
        self._files += 1
        self._bytes += member.size_bytes
        if self._files > announced.files or self._bytes > announced.size_bytes:
            raise damaged("it holds more than it says")
        if (told := self._bytes * _TOLD_PARTS // max(1, announced.size_bytes)) > self._told:
            self._told = told
            self._progress.output(f"{size(self._bytes)} of {size(announced.size_bytes)}")

    def _check(self, member: Member) -> None:
        if part_of(member.path) is Part.OBJECT and self._hash.hexdigest() != digest_of(member.path):
            raise damaged(f"{member.path} in it is not what its name says")


def damaged(why: str) -> InvalidBackup:
    """The error for a backup that is not one, or not whole any more."""
    return InvalidBackup(f"The backup cannot be restored: {why}.", hint=_HINT)


def _may_be(part: Part, member: Member) -> bool:
    if member.kind is Kind.LINK:
        return is_link_of(part, member.path, member.target)
    if member.kind is Kind.FOLDER:
        return part is Part.STORAGE
    return part is not Part.BUILD_LINK


def _settle(path: Path, member: Member) -> None:
    """It has the mode and the time that it had."""
    part = part_of(member.path)
    mode = member.mode & (0o600 if part in _PRIVATE else 0o777)
    if part is Part.OBJECT:
        mode = 0o555 if member.path.endswith(".x") else 0o444
    path.chmod(mode)
    os.utime(path, (member.changed_at, member.changed_at))
