"""What people are told of a schedule: its runs, and how each line of it stands."""

from trivet.model.frozen import frozen
from trivet.model.schedule import Scheduled


@frozen
class ScheduledRun:
    """One run, or one that did not come to be (`outcome` "skipped"); times are ISO 8601 in UTC.

    `outcome` is else "running", "succeeded" or "failed"; `how` says more, in words: "exited with 3". `planned` is the time
    that it ran for (None: somebody asked for it, `by`). `output` are the last lines of a failed one.
    """

    name: str
    release: int | None
    process: str | None
    planned: str | None
    began: str | None
    ended: str | None
    outcome: str
    how: str = ""
    duration_s: float | None = None
    by: str | None = None
    output: tuple[str, ...] = ()


@frozen
class Plight:
    """One line of `trivet schedule`: what is scheduled, when it runs next (None: it does not), and its last run."""

    scheduled: Scheduled
    release: int
    next: str | None
    why_not: str = ""
    last: ScheduledRun | None = None
