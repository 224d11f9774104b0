"""Moments that people write: how long ago, or when."""

import contextlib
import re
from datetime import datetime

from trivet.cli.output import time_ago
from trivet.errors import InputError

_AGO = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_AT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?Z?)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_moment(text: str) -> str:
    """The time that "2h" or "2026-11-23T19:04" means, as ISO 8601 in UTC. Raises: InputError."""
    if match := _AGO.fullmatch(text):
        return time_ago(int(match[1]) * _SECONDS[match[2]])
    if match := _AT.fullmatch(text):
        at = f"{match[1]}T{match[2] or '00:00'}{match[3] or ':00'}.000Z"
        with contextlib.suppress(ValueError):  # there is no such day, or no such hour
            datetime.fromisoformat(at)
            return at
    raise InputError(
        f"{text!r} is not a time.",
        hint="Write how long ago, like 30m, 2h or 3d, or when in UTC, like 2026-11-23T19:04.",
    )
