"""What processes that have ended leave: others that they started, and temporary folders; and how it is cleared away."""

import sys
import time
from collections.abc import Iterable
from pathlib import Path

from trivet.errors import MachineError
from trivet.host import processes
from trivet.host.cgroup import Cgroup
from trivet.host.descendants import end_processes_marked
from trivet.host.files import remove_tree

_ONE_OFF = "run-"
_GROUP_ENDS_WITHIN_S = 10.0
_POLL_S = 0.002


def one_off_folder(root: Path, pid: int) -> Path:
    """The temporary folder of the one-off that this process starts; the name tells for whom it is there."""
    return root / f"{_ONE_OFF}{pid}.{processes.start_time(pid)}"


def is_of_one_off(folder: Path) -> bool:
    """Whether the temporary folder, or that of a control group, is a one-off's."""
    return folder.name.startswith(_ONE_OFF)


def has_owner(folder: Path) -> bool:
    """Whether the process still runs that has started the one-off of this folder."""
    pid, _, started = folder.name.removeprefix(_ONE_OFF).partition(".")
    return pid.isascii() and pid.isdecimal() and str(processes.start_time(int(pid))) == started


def clear_away_one_offs(root: Path) -> None:
    """Nothing is left of one-offs whose command was killed: as long as the supervisor lives, nobody else looks."""
    abandoned = [path for path in root.glob(f"{_ONE_OFF}*") if not has_owner(path)]
    if abandoned:
        clear_away(abandoned)


def mark(folder: Path) -> str:
    """What the environment of a process holds whose temporary folder this is; of all it starts, too."""
    return f"TMPDIR={folder}"


def clear_away(folders: Iterable[Path]) -> None:
    """The folders are gone, with all processes whose temporary folder one of them was. They are no living process's own.

    What cannot be removed is told on standard error, and tried again by the next supervisor.
    """
    folders = tuple(folders)
    try:
        end_processes_marked(*map(mark, folders))
    except MachineError as error:
        sys.stderr.write(f"trivet: {error.message}\n")
    for folder in folders:
        try:
            remove_tree(folder)
        except OSError as error:
            sys.stderr.write(f"trivet: {folder} cannot be removed whole: {error}\n")


def clear_away_groups(groups: Iterable[Cgroup]) -> None:
    """The groups are gone, and all that ran in them. What cannot be ended is told on standard error."""
    until = time.monotonic() + _GROUP_ENDS_WITHIN_S
    for group in groups:
        group.kill()
        while not group.remove():
            if time.monotonic() > until:
                sys.stderr.write(f"trivet: {group.folders[0]} cannot be removed: {group.pids()} do not end\n")
                break
            time.sleep(_POLL_S)
            group.kill()
