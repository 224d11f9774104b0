"""Pruning: what nobody needs any more leaves the disk, checkouts first, objects after; records stay.

Whoever prunes is alone with the store: no build is being made or found, no release of one is being made.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

from trivet.build.contents import (
    Contents,
    Marking,
    all_objects,
    is_whole,
    size_of_checkout,
    size_of_folder,
    size_of_objects,
)
from trivet.build.inventory import Found, abandoned_caches, checked_out, find_builds, state_of
from trivet.build.objects import object_path
from trivet.build.record import read_build
from trivet.build.scratch import scratch_folder
from trivet.build.trees import Trees
from trivet.errors import InvalidDocument
from trivet.host.files import refused
from trivet.host.tree import hash_bytes
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.names import AppName
from trivet.model.pruning import BuildName, BuildState, Change, Keep, Pruned

_EMPTY = hash_bytes(b"")


@frozen
class Wanted:
    """The digests of layers that stay checked out, and of all that stay stored."""

    ready: frozenset[str]
    stored: frozenset[str]


@frozen
class Removal:
    """What is to go: checkouts and tree objects by their digests, objects by their paths, download caches by their apps."""

    checkouts: frozenset[str]
    trees: frozenset[str]
    objects: frozenset[str]
    caches: frozenset[str]


def plan_pruning(home: Home, keep: Keep, *, thorough: bool) -> tuple[Pruned, Removal]:
    """What a pruning would do now; nothing changes. Not thorough: leftovers are looked for only if a build is pruned."""
    try:
        with Trees(home) as trees:
            return _Planning(home, trees, keep).run(thorough=thorough)
    except OSError as error:
        raise refused(error, f"look through {home.root}") from error


def prune(home: Home, removal: Removal) -> None:
    """All of the removal is gone. Raises: MachineError; what could not be removed yet is found by the next pruning."""
    try:
        with scratch_folder(home.scratch) as scratch:
            for digest in removal.checkouts:
                _take_away(home.layers / digest, scratch / digest)
            for app in removal.caches:
                _take_away(home.cache(AppName(app)), scratch / f"cache.{app}")
        with Trees(home) as trees:
            if removal.trees:
                trees.remove(removal.trees)
        for path in removal.objects:
            Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise refused(error, "remove what is pruned") from error


def _take_away(folder: Path, target: Path) -> None:
    """It goes in one step: half of a checkout must never stand among the layers."""
    folder.chmod(0o700)  # moving a folder writes its ".."
    folder.rename(target)


class _Planning:
    """One pruning being decided."""

    def __init__(self, home: Home, trees: Trees, keep: Keep) -> None:
        self._home = home
        self._trees = trees
        self._keep = keep
        self._builds = find_builds(home)
        self._there = checked_out(home)
        self._caches = abandoned_caches(home)

    def run(self, *, thorough: bool) -> tuple[Pruned, Removal]:
        wanted = self._wanted()
        leaving = frozenset(layer for layer in self._there - wanted.ready if self._may_leave(layer, wanted))
        gone = [build for build in self._builds if self._is_lost(build, wanted)]
        unknown = leaving - wanted.stored
        if not thorough and not gone and not unknown:
            return self._told(leaving, Contents(), wanted), self._removal(leaving, Contents())
        marking = Marking(self._home, self._trees)
        marking.mark(wanted.stored | wanted.ready | (self._there - leaving))
        rest = Contents(self._trees.digests() - marking.marked.trees, all_objects(self._home) - marking.marked.objects)
        return self._told(leaving, rest, wanted), self._removal(leaving, rest)

    def _removal(self, leaving: frozenset[str], rest: Contents) -> Removal:
        return Removal(leaving, frozenset(rest.trees), frozenset(rest.objects), self._caches)

    def _wanted(self) -> Wanted:
        by_name = {build.name: build for build in self._builds}
        making = {layer for name in self._keep.ready if name in by_name for layer in by_name[name].making}
        ready = _layers(by_name, self._keep.ready) | making
        belonging = {layer for build in self._builds for layer in build.layers}
        strays = {layer for layer in self._there - belonging if self._is_recent(layer)}
        fixed = self._keep.fixed | {build.name for build in self._builds if build.used_at >= self._keep.since}
        stored = ready | _layers(by_name, fixed)
        if self._keep.budget_bytes is None:
            stored |= _layers(by_name, self._keep.released)
        else:
            stored |= self._within(self._keep.budget_bytes, by_name, stored)
        return Wanted(frozenset(ready | strays), frozenset(stored | strays))

    def _within(self, budget_bytes: int, by_name: dict[BuildName, Found], fixed: set[str]) -> set[str]:
        """The layers of the released builds, the newest first, until the budget is spent."""
        marking = Marking(self._home, self._trees)
        spent = size_of_objects(marking.mark(fixed))
        kept: set[str] = set()
        for name in self._keep.released:
            layers = _layers(by_name, (name,))
            spent += size_of_objects(marking.mark(layers))
            if spent > budget_bytes and not layers <= fixed:
                break
            kept |= layers
        return kept

    def _is_recent(self, layer: str) -> bool:
        """A build that failed later may have made it, and the next attempt finds it."""
        return (self._home.layers / layer).stat().st_ctime >= self._keep.since

    def _may_leave(self, layer: str, wanted: Wanted) -> bool:
        """A checkout of what is to stay stored leaves only if it can come back."""
        if layer not in wanted.stored:
            return True
        if not self._trees.has(layer):
            return False
        objects = Marking(self._home, self._trees).mark((layer,))
        return is_whole(objects, object_path(self._home.objects, _EMPTY, is_program=False))

    def _is_lost(self, build: Found, wanted: Wanted) -> bool:
        return any(
            layer not in wanted.stored and (layer in self._there or self._trees.has(layer)) for layer in build.layers
        )

    def _told(self, leaving: Collection[str], rest: Contents, wanted: Wanted) -> Pruned:
        told: set[str] = set()
        freed = Marking(self._home, self._trees)
        changes = tuple(self._changes(leaving, rest, told, freed))
        others = sum(size_of_checkout(self._home.layers / layer) for layer in leaving if layer not in told)
        left = size_of_objects(rest.objects - freed.marked.objects)
        caches = sum(size_of_folder(self._home.cache(AppName(app))) for app in self._caches)
        return Pruned(changes, others + left + caches)

    def _changes(self, leaving: Collection[str], rest: Contents, told: set[str], freed: Marking) -> Iterator[Change]:
        """The builds that lose something, the newest first; what several lose is told of the first."""
        for build in self._builds:
            before = state_of(build.layers, self._there, self._trees)
            after = self._state_after(build, leaving, rest)
            if after is before:
                continue
            checkouts = {layer for layer in build.layers if layer in leaving} - told
            told |= checkouts
            objects = freed.mark(build.layers) & rest.objects if after is BuildState.PRUNED else set()
            size = sum(size_of_checkout(self._home.layers / layer) for layer in checkouts) + size_of_objects(objects)
            yield self._change(build.name, after, size)

    def _state_after(self, build: Found, leaving: Collection[str], rest: Contents) -> BuildState:
        there = self._there - frozenset(leaving)
        if any(layer not in there and (layer in rest.trees or not self._trees.has(layer)) for layer in build.layers):
            return BuildState.PRUNED
        return state_of(build.layers, there, self._trees)

    def _change(self, name: BuildName, state: BuildState, freed_bytes: int) -> Change:
        try:
            source = read_build(self._home, name.app, name.id).source
        except InvalidDocument:  # written by another version: it can be pruned all the same
            return Change(name, "", "", state, freed_bytes)
        return Change(name, source.commit, source.subject, state, freed_bytes)


def _layers(builds: dict[BuildName, Found], names: Collection[BuildName]) -> set[str]:
    return {layer for name in names if name in builds for layer in builds[name].layers}
