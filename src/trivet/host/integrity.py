"""Integrity: whether a build is still what was built, and if not, which layers and which files are to blame.

A layer's digest alone tells that it was altered. The store's objects tell more: a content or a mode that no object has is
none that any build made.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from trivet.errors import StoreError
from trivet.host.files import refused
from trivet.host.tree import Tree, read_tree
from trivet.model.build import Build, Layer
from trivet.model.frozen import frozen
from trivet.model.home import Home

_SHOWN_FILES = 5


@frozen
class Fault:
    """A part of a build (a layer, a document) that is not what was built; `told` says so, as a sentence without full stop.

    `files` are those of a layer that no build made, by their path in it. `path` is what has to go before it can be made anew.
    """

    part: str
    told: str
    path: Path
    files: tuple[str, ...] = ()


class Inspection:
    """A look at builds of one home; a layer that several of them share is read once."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._found: dict[str, Fault | None] = {}

    def find_faults(self, build: Build) -> tuple[Fault, ...]:
        """What is wrong with the build's bundle; every byte of every layer was read. Raises: MachineError."""
        astray = [_find_astray(self._home, build, layer, name) for layer in build.layers for name in layer.names]
        return tuple(fault for fault in (*astray, *map(self._find_fault, build.layers)) if fault is not None)

    def _find_fault(self, layer: Layer) -> Fault | None:
        if layer.digest not in self._found:
            self._found[layer.digest] = find_fault(self._home, layer)
        return self._found[layer.digest]


def find_fault(home: Home, layer: Layer) -> Fault | None:
    """What is wrong with the layer; None: it is what it was when it was stored. Raises: MachineError."""
    folder = home.layers / layer.digest
    name = f"the layer {layer.name!r} ({layer.digest[:12]})"
    if not folder.is_dir():
        return Fault(layer.name, f"{name} is missing from the store", folder)
    try:
        tree = read_tree(folder)
    except StoreError:
        return Fault(
            layer.name, f"{name} was altered after it was built: it holds what is no file, folder or link", folder
        )
    except OSError as error:
        raise refused(error, f"verify the layer {layer.name!r}") from error
    if tree.digest == layer.digest:
        return None
    files = tuple(sorted(_made_by_none(home, str(folder), tree)))
    return Fault(layer.name, f"{name} was altered after it was built: {_describe(files)}", folder, files)


def _find_astray(home: Home, build: Build, layer: Layer, name: str) -> Fault | None:
    link = home.bundle(build.app, build.id) / name
    if link.resolve() == (home.layers / layer.digest).resolve():
        return None
    return Fault(layer.name, f"{link} does not lead to the layer {layer.name!r}", home.build(build.app, build.id))


def _made_by_none(home: Home, folder: str, tree: Tree) -> Iterator[str]:
    for file in tree.files:
        name = file.digest[2:] + (".x" if file.is_program else "")
        if file.size_bytes and not (home.objects / file.digest[:2] / name).exists():
            yield os.path.relpath(file.path, folder)


def _describe(files: tuple[str, ...]) -> str:
    if not files:
        return "files were taken away, emptied or renamed"
    more = f" and {len(files) - _SHOWN_FILES} more" if len(files) > _SHOWN_FILES else ""
    return ", ".join(repr(path) for path in files[:_SHOWN_FILES]) + more
