"""What processes that have ended leave: others that they started, and temporary folders; and how it is cleared away."""

import sys
from collections.abc import Iterable
from pathlib import Path

from trivet.errors import MachineError
from trivet.host.descendants import end_processes_marked
from trivet.host.files import remove_tree


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
