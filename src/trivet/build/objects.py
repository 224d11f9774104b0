"""Objects: every file's content once, read-only, under its sha256: `objects/ab/cdef…`.

`.x` in the name: it may be executed. The mode belongs to the inode, so it belongs to the name. A file of a layer shares
its blocks with its object where the file system can do that (FICLONE), else its inode (hard link), else nothing. No inode
is ever shared with anything outside the store, and empty files are never linked: one build holds hundreds of them and
ext4 stops at 65,000 links.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from enum import Enum
from pathlib import Path

from trivet.host.files import make_directories
from trivet.host.tree import TreeFile, Visitor, hash_bytes, hash_file, read_whole

_FICLONE = 0x40049409  # linux/fs.h
_CANNOT_CLONE = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.EACCES)
_CANNOT_LINK = (errno.EMLINK, errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP)


def object_path(root: Path, digest: str, *, is_program: bool) -> str:
    """Where the content lies. A text, as all paths of the innermost loops: a `Path` costs as much as opening a file."""
    return f"{root}/{digest[:2]}/{digest[2:]}{'.x' if is_program else ''}"


def seal(path: str, changed_at: float, *, is_program: bool) -> None:
    """The file is read-only, and as old as that."""
    os.chmod(path, 0o555 if is_program else 0o444)  # noqa: PTH101
    os.utime(path, (changed_at, changed_at))


class Sharing:
    """Gives new names to what the store holds, in the cheapest way that its file system has."""

    def __init__(self) -> None:
        self._can_clone = True

    def share(self, present: str, new: str) -> bool:
        """`new` has the content, the mode and the time of `present`; False: the file system refuses, and it is not there.

        Raises: FileExistsError, FileNotFoundError.
        """
        if self._can_clone and self._clone(present, new):
            return True
        try:
            os.link(present, new)
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
            return False
        return True

    def copy(self, present: str, new: str) -> None:
        """`new` is another file of the same content, mode and time. Raises: FileExistsError, FileNotFoundError."""
        if self.share(present, new):
            return
        with open(present, "rb") as source, open(new, "xb") as target:  # noqa: PTH123
            shutil.copyfileobj(source, target)
        shutil.copystat(present, new)

    def _clone(self, present: str, new: str) -> bool:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(present, "rb") as source:  # noqa: PTH123
                fcntl.ioctl(descriptor, _FICLONE, source.fileno())
        except OSError as error:
            os.unlink(new)  # noqa: PTH108
            if error.errno not in _CANNOT_CLONE:
                raise
            self._can_clone = False  # nor can the next file: trying costs as much as linking
            return False
        finally:
            os.close(descriptor)
        shutil.copystat(present, new)
        return True


class _Found(Enum):
    """What lies where a content's object should: nothing, just that, something else, or one with too many links."""

    NOTHING = 0
    SAME = 1
    BAD = 2
    FULL = 3


class Adoption(Visitor):
    """The tree that is read becomes read-only and shares what it holds with the objects.

    Whoever may not read something of it now may: its owner, whatever modes the steps of the build left. `changed_at` (in
    seconds since the epoch) is the time of contents that the store did not have yet.
    """

    def __init__(self, root: Path, changed_at: int, top: Path) -> None:
        self._root = root
        self._changed_at = changed_at
        self._top = str(top)
        self._sharing = Sharing()

    def open_up(self, path: str, mode: int) -> None:
        wanted = 0o700 if stat.S_ISDIR(mode) else 0o400
        if mode & wanted != wanted:
            os.chmod(path, 0o700)  # noqa: PTH101

    def leave(self, folder: str) -> None:
        os.utime(folder, (self._changed_at, self._changed_at))
        if folder != self._top:  # renaming a folder writes its "..", which needs its write permission
            os.chmod(folder, 0o555)  # noqa: PTH101

    def take(self, file: TreeFile, content: bytes | None) -> None:
        if file.size_bytes == 0:
            self._own(file)
            return
        path = object_path(self._root, file.digest, is_program=file.is_program)
        found = _look(path, file, content)
        if found is _Found.SAME and not self._replace(file.name, path):
            found = _Found.FULL
        if found is not _Found.SAME:
            self._own(file)
            self._give(file, path, is_new=found is _Found.NOTHING)

    def _replace(self, name: str, path: str) -> bool:
        """The file is the object's now; False, if the object cannot be shared once more."""
        beside = _beside(name)
        if not self._sharing.share(path, beside):
            return False
        os.replace(beside, name)  # noqa: PTH105
        return True

    def _own(self, file: TreeFile) -> None:
        """The file is read-only, and shares its inode with nothing that is not ours."""
        if file.links == 1:
            seal(file.name, self._changed_at, is_program=file.is_program)
            return
        beside = _beside(file.name)
        shutil.copyfile(file.name, beside)
        seal(beside, self._changed_at, is_program=file.is_program)
        os.replace(beside, file.name)  # noqa: PTH105

    def _give(self, file: TreeFile, path: str, *, is_new: bool) -> None:
        """The object is there, in place of a bad one or of one that has all the links it can have."""
        new = path if is_new else _beside(path)
        with contextlib.suppress(FileExistsError):  # another build gave it meanwhile: two inodes instead of one
            try:
                self._sharing.copy(file.name, new)
            except FileNotFoundError:
                make_directories(Path(path).parent)
                self._sharing.copy(file.name, new)
        if not is_new:
            os.replace(new, path)  # noqa: PTH105


def take_out(root: Path, digest: str, new: str, sharing: Sharing, *, is_program: bool) -> bool:
    """`new` is a file with this content; False if the store has none that is what its name says.

    A bad object is removed, so that no later build meets it.
    """
    path = object_path(root, digest, is_program=is_program)
    if not is_good(path, digest):
        Path(path).unlink(missing_ok=True)
        return False
    sharing.copy(path, new)
    return True


def is_good(path: str, digest: str) -> bool:
    """Whether the object is there and is what its name says."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        content = read_whole(descriptor, os.fstat(descriptor).st_size)
    except OSError:  # a sector that cannot be read any more
        return False
    finally:
        os.close(descriptor)
    return (hash_file(path) if content is None else hash_bytes(content)) == digest


def _look(path: str, file: TreeFile, content: bytes | None) -> _Found:
    """An object is compared before it is shared: a bad one would spread to every later build."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return _Found.NOTHING
    try:
        held = read_whole(descriptor, file.size_bytes) if content is not None else None
        same = held == content if content is not None else hash_file(path) == file.digest
    except OSError:  # a sector that cannot be read any more
        same = False
    finally:
        os.close(descriptor)
    return _Found.SAME if same else _Found.BAD


def _beside(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/.{name[:16]}.{os.urandom(4).hex()}"
