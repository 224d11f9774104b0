"""Integrity: whether a stored layer is still what its digest says, and if not, which files are to blame.

The digest alone tells that a layer was altered. The store's objects tell more: a content or a mode that no object has is
none that any build made.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from trivet.errors import StoreError
from trivet.host.files import refused
from trivet.host.tree import Tree, read_tree
from trivet.model.build import Layer
from trivet.model.home import Home

_SHOWN_FILES = 5


@dataclass(frozen=True, slots=True)
class Alteration:
    """A layer that is not what was built. `files` are those that no build made, by their path in the layer.

    If there are none, the layer is gone (`is_missing`), or files of it were taken away or renamed.
    """

    layer: Layer
    files: tuple[str, ...] = ()
    is_missing: bool = False

    @property
    def told(self) -> str:
        """What is wrong, as a sentence without its full stop."""
        name = f"the layer {self.layer.name!r} ({self.layer.digest[:12]})"
        if self.is_missing:
            return f"{name} is missing from the store"
        if not self.files:
            return f"{name} was altered after it was built: files were taken away from it or renamed"
        shown = ", ".join(repr(path) for path in self.files[:_SHOWN_FILES])
        more = f" and {len(self.files) - _SHOWN_FILES} more" if len(self.files) > _SHOWN_FILES else ""
        return f"{name} was altered after it was built: {shown}{more}"


def find_alterations(home: Home, layers: Iterable[Layer]) -> tuple[Alteration, ...]:
    """The layers that are not what was built; every byte of every layer was read. Raises: MachineError."""
    found = (find_alteration(home, layer) for layer in layers)
    return tuple(each for each in found if each is not None)


def find_alteration(home: Home, layer: Layer) -> Alteration | None:
    """What is wrong with the layer; None: it is what it was when it was stored. Raises: MachineError."""
    folder = home.layers / layer.digest
    if not folder.is_dir():
        return Alteration(layer, is_missing=True)
    try:
        tree = read_tree(folder)
    except StoreError:  # a socket, a pipe or a device, which no build can hold
        return Alteration(layer)
    except OSError as error:
        raise refused(error, f"verify the layer {layer.name!r}") from error
    if tree.digest == layer.digest:
        return None
    return Alteration(layer, tuple(sorted(_made_by_none(home, str(folder), tree))))


def _made_by_none(home: Home, folder: str, tree: Tree) -> Iterator[str]:
    for file in tree.files:
        name = file.digest[2:] + (".x" if file.is_program else "")
        if file.size_bytes and not (home.objects / file.digest[:2] / name).exists():
            yield os.path.relpath(file.path, folder)
