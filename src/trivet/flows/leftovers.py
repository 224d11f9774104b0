"""Leftovers: what builds have left whose command was killed. Every command that releases or prunes begins without them."""

import contextlib

from trivet.errors import TrivetError
from trivet.flows.installation import Installation


def clear_killed_builds(installation: Installation) -> None:
    """Nothing is left of them, nor of what they had started. Where there is nothing this costs a look into one folder.

    What cannot be removed is in nobody's way but the next build's, which says so.
    """
    if not any(installation.home.scratch.glob("*.lock")):
        return
    from trivet.build import sweep_scratch  # few commands need anything of the build stage

    with contextlib.suppress(OSError, TrivetError):
        sweep_scratch(installation.home)
