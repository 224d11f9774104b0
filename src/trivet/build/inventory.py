"""Inventory: which builds there are on this disk, and in which form their layers are."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from trivet.build.record import MAKING
from trivet.build.trees import Trees
from trivet.host.files import refused
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.names import AppName
from trivet.model.pruning import BuildName, BuildState

_DOCUMENT = "build.json"
_DIGEST_DIGITS = 64


@frozen
class Found:
    """A build as its folder tells: the digests of its layers, and of those that only its making needed.

    `used_at` is when it was made or found last, in seconds since the epoch.
    """

    name: BuildName
    layers: tuple[str, ...]
    making: tuple[str, ...]
    used_at: float


def find_builds(home: Home) -> tuple[Found, ...]:
    """Every build of every app, the newest first. No document is read: records outlive layers, and may be many."""
    found = [build for app in _names(home.apps) for build in _find(home, AppName(app))]
    return tuple(sorted(found, key=lambda build: build.used_at, reverse=True))


def checked_out(home: Home) -> frozenset[str]:
    """The digests of the layers that are checked out."""
    return frozenset(name for name in _names(home.layers) if len(name) == _DIGEST_DIGITS)


def abandoned_caches(home: Home) -> frozenset[str]:
    """The apps that have a download cache and not a single build, not even one that failed: they were destroyed."""
    return frozenset(app for app in _names(home.caches) if not home.builds(AppName(app)).is_dir())


def build_states(home: Home, app: AppName) -> Mapping[str, BuildState]:
    """The state of each build of the app, by its id."""
    if not home.database.exists():
        return {}
    there = checked_out(home)
    with Trees(home) as trees:
        return {build.name.id: state_of(build.layers, there, trees) for build in _find(home, app)}


def state_of(layers: Collection[str], there: Collection[str], trees: Trees) -> BuildState:
    """The state of a build with these layers, if those of `there` are checked out."""
    if all(layer in there for layer in layers):
        return BuildState.READY
    if all(layer in there or trees.has(layer) for layer in layers):
        return BuildState.STORED
    return BuildState.PRUNED


def _find(home: Home, app: AppName) -> list[Found]:
    found = []
    for build_id in _names(home.builds(app)):
        bundle, document = home.bundle(app, build_id), home.build(app, build_id) / _DOCUMENT
        if document.is_file():
            layers, making = _linked(bundle), _linked(bundle.with_name(MAKING))
            found.append(Found(BuildName(app, build_id), layers, making, document.stat().st_mtime))
    return found


def _linked(folder: Path) -> tuple[str, ...]:
    """The digests of the layers that the links in the folder lead to."""
    return tuple((folder / name).readlink().name for name in _names(folder))


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208  # names are all that is needed
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise refused(error, f"read {folder}") from error
