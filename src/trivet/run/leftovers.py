"""What processes that have ended leave in their temporary folders, and how it is cleared away."""

import sys
from collections.abc import Iterable
from pathlib import Path

from trivet.host.files import remove_tree


def clear_away(folders: Iterable[Path]) -> None:
    """The folders are gone; what cannot be removed is told on standard error, and tried again by the next supervisor."""
    for folder in folders:
        try:
            remove_tree(folder)
        except OSError as error:
            sys.stderr.write(f"trivet: {folder} cannot be removed whole: {error}\n")
