"""When something scheduled is to run, told from what has been dealt with and what the clock says. Pure."""

from collections.abc import Callable

from trivet.model.frozen import frozen
from trivet.model.schedule import Missed

LATE_S = 60.0  # what was due within the last minute still runs: a new version of Trivet was taking over, for example
SET_BACK_S = (
    3 * 3600.0
)  # a clock that was set back by more shows that it was wrong: what ran ahead of it counts for nothing

NextAfter = Callable[[float], float | None]


@frozen
class Due:
    """`run_for` is the time to run for now (None: none), `missed` the first of those that nothing runs, `next_s` what comes.

    All in seconds since the epoch.
    """

    run_for: float | None
    missed: float | None
    next_s: float | None


def find_due(next_after: NextAfter, settled_s: float, now_s: float, missed: Missed) -> Due:
    """`settled_s`: all up to then has been dealt with. Nothing runs twice for one time, also if the clock is set back."""
    base = settled_s if settled_s <= now_s + SET_BACK_S else now_s
    next_s = next_after(max(base, now_s))
    first = next_after(base)
    if first is None or first > now_s:
        return Due(None, None, next_s)
    latest: float | None = None
    candidate = next_after(max(base, now_s - LATE_S))
    while candidate is not None and candidate <= now_s:
        latest, candidate = candidate, next_after(candidate)
    if missed is Missed.ONCE:
        return Due(first if latest is None else latest, None, next_s)
    return Due(latest, first if first < now_s - LATE_S else None, next_s)
