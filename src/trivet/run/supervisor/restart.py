"""When a process that has ended is started again. Pure.

At once the first time, then after 0.1 s, 0.2 s, 0.4 s … at most 30 s; ten seconds up and it counts as the first time
again. It never gives up: what is broken at three may work at four.
"""

from dataclasses import replace

from trivet.model.frozen import frozen

_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 30.0
_STEADY_S = 10.0
_MOST_DOUBLINGS = 16


@frozen
class Restarts:
    """`count`: starts after a crash within this release. `streak`: those in a row without ten seconds up between."""

    count: int = 0
    streak: int = 0


def after_exit(restarts: Restarts, up_s: float) -> tuple[Restarts, float]:
    """The restarts with the one that is due now, and how long to wait for it, in seconds."""
    streak = 0 if up_s >= _STEADY_S else restarts.streak
    return replace(restarts, count=restarts.count + 1, streak=streak + 1), delay_s(streak)


def delay_s(streak: int) -> float:
    """How long to wait for the start that follows this many crashes in a row."""
    if streak == 0:
        return 0.0
    return float(min(_FIRST_DELAY_S * 2 ** min(streak - 1, _MOST_DOUBLINGS), _LONGEST_DELAY_S))


def crash_line(process: str, how: str, restarts: Restarts, wait_s: float) -> str:
    """What the process's log is told: how it ended, and when it is started again."""
    when = "at once" if wait_s == 0 else f"in {wait_s:g} s"
    return f"trivet: {process} {how}; restart {restarts.count} {when}\n"
