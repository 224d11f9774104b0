"""Store: every layer once, every file's content once, read-only.

`layers/<digest>/` are whole trees, `objects/ab/cdef…` contents by sha256 (`.x`: may be executed; the mode belongs to the
inode, so it belongs to the name). A file of a layer shares its blocks with its object where the file system can do that
(FICLONE), else its inode (hard link), else nothing. No inode is ever shared with anything outside the store, and empty
files are never linked: one build holds hundreds of them and ext4 stops at 65,000 links.
"""

import contextlib
import errno
import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from trivet.errors import StoreError
from trivet.host.files import make_directories, refused, remove_tree, sync_directory
from trivet.host.tree import Tree, TreeFile, folders_of, hash_file, read_tree
from trivet.model.build import Layer
from trivet.model.home import Home

_FICLONE = 0x40049409  # linux/fs.h
_CANNOT_CLONE = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.EACCES)
_CANNOT_LINK = (errno.EMLINK, errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP)


@dataclass(frozen=True, slots=True)
class Store:
    """The layers and objects of one home."""

    home: Home

    def keep(self, folder: Path, name: str, changed_at: int) -> Layer:
        """The folder has become the layer, on disk and read-only; nothing is left where it was.

        `changed_at` (seconds since the epoch) becomes the time of contents that the store did not have yet. A layer that
        is there already stays as it is, so builds may race. Raises: StoreError, MachineError.
        """
        try:
            open_up(folder)
            tree = read_tree(folder)
            layer = Layer(name, tree.digest, len(tree.files), tree.size_bytes)
            if self.has(layer.digest):
                remove_tree(folder)
            else:
                self._adopt(folder, tree, changed_at)
        except OSError as error:
            raise refused(error, f"store the layer {name!r}") from error
        return layer

    def has(self, digest: str) -> bool:
        """Whether the layer is there. It is whole, since it was renamed into place."""
        return self.path(digest).is_dir()

    def path(self, digest: str) -> Path:
        """The folder of a layer."""
        return self.home.layers / digest

    def verify(self, layer: Layer) -> None:
        """Every byte of the layer is what it was when it was stored. Raises: StoreError."""
        path = self.path(layer.digest)
        if not path.is_dir():
            raise StoreError(
                f"The layer {layer.name!r} ({layer.digest[:12]}) is missing from the store.",
                hint="Make it again with `trivet build --rebuild` at the build's commit.",
            )
        if read_tree(path).digest != layer.digest:
            raise StoreError(
                f"The layer {layer.name!r} ({layer.digest[:12]}) was altered after it was built.",
                hint=f"Move {path} away and make it again with `trivet build --rebuild` at the build's commit.",
            )

    def _adopt(self, folder: Path, tree: Tree, changed_at: int) -> None:
        for file in tree.files:
            _Adoption(self.home.objects, file, changed_at).run()
        for each in folders_of(folder):
            os.utime(each, (changed_at, changed_at))
            if each != folder:  # renaming a folder writes its "..", which needs its write permission
                each.chmod(0o555)
        sync_file_system(folder)
        make_directories(self.home.layers)
        target = self.path(tree.digest)
        try:
            folder.rename(target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            remove_tree(folder)
            return
        target.chmod(0o555)
        sync_directory(self.home.layers)


def open_up(folder: Path) -> None:
    """Its owner may read and change everything in the folder, whatever modes the steps of the build left."""
    folder.chmod(0o755)
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                open_up(Path(entry.path))
            elif entry.is_file(follow_symlinks=False) and not entry.stat(follow_symlinks=False).st_mode & 0o400:
                Path(entry.path).chmod(0o600)


def sync_file_system(path: Path) -> None:
    """All that was written to the file system of the path is on disk: one call for a whole tree. syncfs(2)."""
    import ctypes  # 10 ms that only a layer that is new needs

    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class _Adoption:
    """A file of a new layer becomes read-only and shares what it holds with its object."""

    objects: Path
    file: TreeFile
    changed_at: int

    def run(self) -> None:
        if self.file.links > 1:
            self._replace_by_copy()
        if self.file.size_bytes == 0:
            self._seal(self.file.path)
            return
        if self._object.exists():
            self._take_from_object()
        else:
            self._give_to_object()

    @property
    def _object(self) -> Path:
        name = self.file.digest[2:] + (".x" if self.file.is_program else "")
        return self.objects / self.file.digest[:2] / name

    def _give_to_object(self) -> None:
        make_directories(self._object.parent)
        self._seal(self.file.path)
        with contextlib.suppress(FileExistsError):  # another build gave it meanwhile: two inodes instead of one
            self._share(self.file.path, self._object)

    def _take_from_object(self) -> None:
        """The object is what it should be before it is shared: a bad one would spread to every later build."""
        beside = self._beside(self.file.path)
        if self._object.stat().st_size == self.file.size_bytes and hash_file(self._object) == self.file.digest:
            self._share(self._object, beside)
            beside.replace(self.file.path)
            return
        self._seal(self.file.path)
        mended = self._beside(self._object)
        self._share(self.file.path, mended)
        mended.replace(self._object)

    def _replace_by_copy(self) -> None:
        beside = self._beside(self.file.path)
        shutil.copyfile(self.file.path, beside)
        beside.replace(self.file.path)

    def _share(self, present: Path, new: Path) -> None:
        """`new` has the content of `present`, in the cheapest way there is. Raises: FileExistsError."""
        if self._clone(present, new):
            return
        try:
            os.link(present, new)
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
            shutil.copyfile(present, new)
            self._seal(new)

    def _clone(self, present: Path, new: Path) -> bool:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with present.open("rb") as source:
                fcntl.ioctl(descriptor, _FICLONE, source.fileno())
        except OSError as error:
            new.unlink()
            if error.errno not in _CANNOT_CLONE:
                raise
            return False
        finally:
            os.close(descriptor)
        self._seal(new)
        return True

    def _seal(self, path: Path) -> None:
        path.chmod(0o555 if self.file.is_program else 0o444)
        os.utime(path, (self.changed_at, self.changed_at))

    def _beside(self, path: Path) -> Path:
        return path.with_name(f".{self.file.digest[:16]}.{os.urandom(4).hex()}")
