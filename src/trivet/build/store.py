"""Store: every layer once, in up to two forms.

`layers/<digest>/` are layers checked out, whole trees that a build can be started from. What they consist of is stored
beside them: contents of files in `objects/` (objects.py), folders and links in the database (trees.py). A layer
whose checkout was removed is checked out again from those, with the same digest.
"""

import errno
from pathlib import Path

from trivet.build.checkout import Checkout
from trivet.build.objects import Adoption
from trivet.build.scratch import scratch_folder
from trivet.build.trees import Trees
from trivet.errors import StoreError
from trivet.host.files import make_directories, refused, remove_tree, sync_directory, sync_file_system
from trivet.host.tree import read_tree
from trivet.model.build import Layer
from trivet.model.frozen import frozen
from trivet.model.home import Home


@frozen
class Store:
    """The layers and objects of one home."""

    home: Home

    def keep(self, folder: Path, name: str, changed_at: int) -> Layer:
        """The folder has become the layer, on disk and read-only; nothing is left where it was.

        `changed_at` (seconds since the epoch) becomes the time of contents that the store did not have yet. A layer that
        is there already stays as it is, so builds may race. Raises: StoreError, MachineError.
        """
        if folder.is_symlink():
            raise StoreError(f"{folder} is a link.", hint="A layer is a folder: have the build make it as one.")
        try:
            folder.chmod(0o755)
            tree = read_tree(folder, Adoption(self.home.objects, changed_at, folder))
            if not self.has(tree.digest):
                sync_file_system(folder)
            with Trees(self.home) as trees:
                trees.add(tree)
            self._put(folder, tree.digest)
        except OSError as error:
            raise refused(error, f"store the layer {name!r}") from error
        return Layer(name, tree.digest, len(tree.files), tree.size_bytes)

    def has(self, digest: str) -> bool:
        """Whether the layer is checked out. It is whole, since it was renamed into place."""
        return self.path(digest).is_dir()

    def obtain(self, digest: str) -> bool:
        """The layer is checked out: it was, or is again; False if it is not stored whole. Raises: MachineError."""
        if self.has(digest):
            return True
        try:
            with Trees(self.home) as trees:
                return trees.has(digest) and self._check_out(digest, trees)
        except OSError as error:
            raise refused(error, f"check out the layer {digest[:12]}") from error

    def holds(self, digest: str) -> bool:
        """Whether all that the layer consists of is stored and is what it should be; every byte was read."""
        with Trees(self.home) as trees:
            return Checkout(self.home, trees).could_check_out(digest)

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

    def _check_out(self, digest: str, trees: Trees) -> bool:
        with scratch_folder(self.home.scratch) as scratch:
            folder = scratch / "layer"
            if not Checkout(self.home, trees).check_out(digest, folder):
                return False
            sync_file_system(folder)
            self._put(folder, digest)
        return True

    def _put(self, folder: Path, digest: str) -> None:
        """The folder stands among the layers, or is gone if the layer was there before."""
        make_directories(self.home.layers)
        target = self.path(digest)
        try:
            folder.rename(target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            remove_tree(folder)
            return
        target.chmod(0o555)
        sync_directory(self.home.layers)
