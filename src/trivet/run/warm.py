"""How long the release before is kept warm after a switch, where no process type says it."""

from collections.abc import Mapping

from trivet.errors import InputError

VARIABLE = "TRIVET_WARM"
_DEFAULT_S = 3.0
_LONGEST_S = 86400.0


def read_warm_s(environment: Mapping[str, str]) -> float:
    """What this machine says. Raises: InputError."""
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return _DEFAULT_S
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _LONGEST_S:
        raise InputError(
            f"{VARIABLE} is {text!r}, which is not a number of seconds from 0 to {_LONGEST_S:g}.",
            hint=f"How long the release before is kept warm after a switch: {VARIABLE}={_DEFAULT_S:g}",
        )
    return seconds
