"""Where this machine's control groups are, and which of them this process may make groups in.

Version 2 is one hierarchy with all controllers; version 1 has one for each. Where both are mounted each controller belongs
to one of them. https://docs.kernel.org/admin-guide/cgroup-v2.html, cgroup-v1/
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from trivet.model.frozen import frozen

CONTROLLERS = ("memory", "cpu", "pids")
LEAF = "supervisor"  # where we are if the group that was handed to us must have none of its own processes


@frozen
class Base:
    """A group that groups may be made in. `version` is 1 or 2; `controllers` are those that it can hand on.

    `is_own`: it is the group that this process was started in, so that it may have to leave it first.
    """

    folder: Path
    version: int
    controllers: frozenset[str]
    is_own: bool = False


@frozen
class Mount:
    """Where a hierarchy is mounted, and which of its groups is the topmost there."""

    point: Path
    root: str
    version: int
    controllers: frozenset[str]


def find_unified() -> Base | None:
    """Where groups of version 2 can be made, if anywhere; cgroup.kill (Linux 5.14) must be there.

    Root makes them at the top: a session's group cannot hold both processes and groups with controllers, and goes with the
    session. Others need one that was handed to them (`Delegate=yes`).
    """
    mount = next((each for each in _mounts() if each.version == 2), None)
    if mount is None:
        return None
    base = Base(mount.point, 2, frozenset()) if os.geteuid() == 0 else _delegated(mount)
    if base is None or not _can_be_written(base.folder):
        return None
    return Base(base.folder, 2, _offered(base), base.is_own)


def find_legacy() -> Mapping[str, Base]:
    """Where groups of version 1 can be made, by controller: below our own, so that what holds us holds them."""
    own = own_groups()
    found: dict[str, Base] = {}
    for mount in _mounts():
        for name in mount.controllers.intersection(CONTROLLERS) if mount.version == 1 else ():
            folder = _below(mount, own.get(name, "/")) or mount.point
            if name not in found and _can_be_written(folder):
                found[name] = Base(folder, 1, mount.controllers)
    return found


def own_groups(pid: str | int = "self") -> Mapping[str, str]:
    """The process's group in each hierarchy, by controller ("" for version 2); cgroups(7)."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return {}
    fields = (line.split(":", 2) for line in lines)
    return {name: path for _, names, path in fields for name in names.split(",")}


def find_mounts() -> tuple[Mount, ...]:
    """Every hierarchy that is mounted here, and not under something else."""
    return tuple(_mounts())


def folders_of(pid: int, mounts: Iterable[Mount]) -> Mapping[str, str]:
    """The folder of the process's group in each of these hierarchies, by controller ("" for version 2)."""
    groups = own_groups(pid)
    found: dict[str, str] = {}
    for mount in mounts:
        for name in ("",) if mount.version == 2 else mount.controllers:
            folder = _below(mount, groups[name]) if name in groups else None
            if folder is not None:
                found.setdefault(name, str(folder))
    return found


def _delegated(mount: Mount) -> Base | None:
    folder = _below(mount, own_groups().get("", "/"))
    if folder is None:
        return None
    if _can_be_written(folder.parent) and os.access(folder.parent / "cgroup.subtree_control", os.W_OK):
        return Base(folder.parent, 2, frozenset())  # DelegateSubgroup=: we are in a leaf of it already
    return Base(folder, 2, frozenset(), is_own=True)


def _offered(base: Base) -> frozenset[str]:
    """What could be held in groups below it.

    A service that was handed its group could not be started again in it once it hands controllers on and none of its own
    processes may be there; with `DelegateSubgroup=` it is started in a leaf.
    """
    if base.is_own and base.folder.name.endswith(".service"):
        return frozenset()
    if not os.access(base.folder / "cgroup.subtree_control", os.W_OK):
        return frozenset()
    return frozenset((base.folder / "cgroup.controllers").read_text().split()).intersection(CONTROLLERS)


def _can_be_written(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK) and os.access(folder / "cgroup.procs", os.W_OK)


def _below(mount: Mount, group: str) -> Path | None:
    """The group's folder; None if it lies outside of what is mounted."""
    root = mount.root.rstrip("/")
    if group != root and not group.startswith(f"{root}/"):
        return None
    folder = mount.point / group.removeprefix(root).lstrip("/")
    return folder if (folder / "cgroup.procs").exists() else None


def _mounts() -> Iterator[Mount]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind not in ("cgroup", "cgroup2"):
            continue
        root, point = (each.replace("\\040", " ") for each in left.split()[3:5])
        if (Path(point) / "cgroup.procs").exists():
            yield Mount(Path(point), root, 2 if kind == "cgroup2" else 1, frozenset(options.split(",")))
