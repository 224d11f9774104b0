"""The control groups of one home: `trivet/<home's path>/<app>.<deploy>/<process>` in each hierarchy that can be written."""

import contextlib
import errno
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from trivet.host import hierarchies
from trivet.host.cgroup import Cgroup
from trivet.host.hierarchies import Base, Mount
from trivet.model.process import Limits
from trivet.model.run import Means

_TOP = "trivet"
_MOST_GROUPS = 100  # of one process; all but the last are about to be removed


def find_means() -> Means:
    """What a supervisor of ours would have; looks only, and makes no group."""
    unified, legacy = hierarchies.find_unified(), hierarchies.find_legacy()
    return _means(unified, unified.controllers if unified is not None else frozenset(), legacy)


def find_groups(home: Path, pids: Iterable[int]) -> Mapping[int, Cgroup]:
    """The group of this home that each of these running processes is in, if it is in one; looks only."""
    place, mounts = _place_of(home), hierarchies.find_mounts()
    found = {pid: _find(place, pid, mounts) for pid in pids} if mounts else {}
    return {pid: group for pid, group in found.items() if group is not None}


class Cgroups:
    """The groups of one home's processes. Whoever makes it makes the home's folders, and may move to a leaf first."""

    def __init__(self, home: Path) -> None:
        self._place = _place_of(home)
        self._unified = hierarchies.find_unified()
        self._legacy = hierarchies.find_legacy()
        self._handed_on = self._open(self._unified) if self._unified is not None else frozenset()
        self.means = _means(self._unified, self._handed_on, self._legacy)

    def make(self, owner: str, name: str, limits: Limits) -> Cgroup | None:
        """A new group for a process of this owner ("shop.production"), with its limits; None if this machine has none.

        Version 1 is used for the limits alone: each hierarchy makes a start some ms longer. Raises: OSError.
        """
        for number in range(_MOST_GROUPS):
            group = self._group(owner, f"{name}~{number}" if number else name, limits)
            if group is None:
                return None
            for folder in group.folders:
                self._make_parents(Path(folder))
            if group.make():  # else the one before is still to be cleared away
                return self._held(group, limits)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(group))

    def find(self, pid: int) -> Cgroup | None:
        """The group of this home that a running process is in."""
        return _find(self._place, pid, hierarchies.find_mounts())

    def find_others(self, kept: Collection[str]) -> Iterator[tuple[str, Cgroup]]:
        """The groups that are there, but for these folders, each with its owner."""
        for root, version in self._roots():
            for folder in map(str, root.glob("*/*/")):
                if folder not in kept:
                    owner = folder.rsplit("/", 2)[1]
                    yield owner, Cgroup(folder, {}) if version == 2 else Cgroup(None, {"": folder})

    def close(self) -> None:
        """The home's folders are gone, but for those in which something still runs. What all homes share stays."""
        for root, _ in self._roots():
            for folder in (*root.glob("*/"), root):
                with contextlib.suppress(OSError):
                    folder.rmdir()

    def _held(self, group: Cgroup, limits: Limits) -> Cgroup:
        try:
            group.hold(limits, self._handed_on)
        except OSError:
            group.remove()
            raise
        return group

    def _roots(self) -> Iterator[tuple[Path, int]]:
        bases = dict.fromkeys(each.folder for each in self._legacy.values())
        yield from ((folder / self._place, 1) for folder in bases)
        if self._unified is not None:
            yield self._unified.folder / self._place, 2

    def _group(self, owner: str, name: str, limits: Limits) -> Cgroup | None:
        ends = f"{self._place}/{owner}/{name}"
        unified = f"{self._unified.folder}/{ends}" if self._unified is not None else None
        wanted = frozenset(limits.controllers)
        legacy = {
            controller: f"{self._legacy[controller].folder}/{ends}"
            for controller in sorted(wanted - self._handed_on)
            if controller in self._legacy
        }
        return Cgroup(unified, legacy) if unified is not None or legacy else None

    def _make_parents(self, folder: Path) -> None:
        owner = folder.parent
        if owner.is_dir():
            return
        owner.mkdir(parents=True, exist_ok=True)
        if self._unified is not None and owner.is_relative_to(self._unified.folder):
            for each in (owner.parents[1], owner.parents[0], owner):
                _hand_on(each, self._handed_on)

    def _open(self, base: Base) -> frozenset[str]:
        """What the base hands on to the groups below it, once no process of ours is in its way."""
        if base.is_own and base.controllers:
            _leave(base.folder)
        return _hand_on(base.folder, base.controllers)


def _find(place: Path, pid: int, mounts: Iterable[Mount]) -> Cgroup | None:
    middle = f"/{place}/"
    own = {name: folder for name, folder in hierarchies.folders_of(pid, mounts).items() if middle in folder}
    legacy = {name: folder for name, folder in own.items() if name in hierarchies.CONTROLLERS}
    return Cgroup(own.get(""), legacy) if own else None


def _place_of(home: Path) -> Path:
    return Path(_TOP) / _name_of(home)


def _name_of(home: Path) -> str:
    """The path as one name that no other path has: `var:lib:trivet`."""
    kept = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
    quoted = {each: f"={each:02x}" for each in range(256) if each not in kept} | {ord("/"): ":"}
    return "".join(quoted.get(each) or chr(each) for each in os.fsencode(home).strip(b"/"))


def _means(unified: Base | None, handed_on: frozenset[str], legacy: Mapping[str, Base]) -> Means:
    found = {name: 2 if name in handed_on else 1 for name in hierarchies.CONTROLLERS if name in {*handed_on, *legacy}}
    return Means(None if unified is None else 2, found)


def _hand_on(folder: Path, controllers: Iterable[str]) -> frozenset[str]:
    """Those of the controllers that groups below this one have."""
    control = folder / "cgroup.subtree_control"
    for name in controllers:
        with contextlib.suppress(OSError):  # one that cannot be had is not among what is read back
            control.write_text(f"+{name}")
    try:
        return frozenset(control.read_text().split()).intersection(controllers)
    except OSError:
        return frozenset()


def _leave(folder: Path) -> None:
    """No process is in the group any more: it is in a leaf of it."""
    leaf = folder / hierarchies.LEAF
    leaf.mkdir(exist_ok=True)
    for pid in (folder / "cgroup.procs").read_text().split():
        with contextlib.suppress(OSError):  # it has ended, or came there by another way
            (leaf / "cgroup.procs").write_text(pid)
