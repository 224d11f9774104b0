"""Timings: how long each step of a build took."""

from trivet.model.frozen import frozen


@frozen
class StepTime:
    """One step of a build: its title, its phase (None: neither fetching nor compiling), and how long it took."""

    title: str
    phase: str | None
    duration_s: float


@frozen
class Timings:
    """The document `timings.json`. Times are ISO 8601 in UTC; a build that was made twice keeps those of the first."""

    began_at: str
    ended_at: str
    steps: tuple[StepTime, ...]
