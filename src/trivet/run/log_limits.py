"""How much room logs may take: what whoever runs the machine says in TRIVET_LOG_LIMITS, or else a measure of ours."""

import re
from collections.abc import Mapping
from dataclasses import replace

from trivet.errors import InputError
from trivet.model.frozen import frozen

VARIABLE = "TRIVET_LOG_LIMITS"
_EXAMPLE = f"Write for example {VARIABLE}='size=50M total=1G age=30d'."
_LIMIT = re.compile(r"(?:(size|total)=([1-9][0-9]{0,6})([kMGT])|(age)=([1-9][0-9]{0,5})([hdw]))")
_HOURS = {"h": 1, "d": 24, "w": 168}


@frozen
class LogLimits:
    """Of one log (a process of a release) `size_bytes` are kept, of all logs of a deploy `total_bytes`, for `age_s`."""

    size_bytes: int = 50 * 10**6
    total_bytes: int = 10**9
    age_s: float = 30 * 86400.0


def read_log_limits(environment: Mapping[str, str]) -> LogLimits:
    """The limits that the environment says. Raises: InputError."""
    limits = LogLimits()
    for word in environment.get(VARIABLE, "").replace(",", " ").split():
        match = _LIMIT.fullmatch(word)
        if match is None:
            raise InputError(f"{VARIABLE} has {word!r}, which is no limit.", hint=_EXAMPLE)
        if match[4]:
            limits = replace(limits, age_s=int(match[5]) * _HOURS[match[6]] * 3600.0)
        else:
            limits = replace(limits, **{f"{match[1]}_bytes": int(match[2]) * 1000 ** " kMGT".index(match[3])})
    return limits


def handed_on(environment: Mapping[str, str]) -> Mapping[str, str]:
    """What a supervisor is to have of this environment. Raises: InputError, for what it could not read."""
    read_log_limits(environment)
    chosen = environment.get(VARIABLE)
    return {VARIABLE: chosen} if chosen else {}
