"""Schedule: the commands of a release that run at times, and how their runs are treated."""

from collections.abc import Iterable
from dataclasses import field
from enum import StrEnum

from trivet.model.frozen import frozen
from trivet.model.process import Limits

UTC = "UTC"


class Overlap(StrEnum):
    """What becomes of a run while the one before goes on. SKIP: nothing. QUEUE: it follows; one may wait. ALLOW: it starts."""

    SKIP = "skip"
    QUEUE = "queue"
    ALLOW = "allow"


class Missed(StrEnum):
    """What becomes of times at which nothing could run it. SKIP: nothing. ONCE: one run for all of them."""

    SKIP = "skip"
    ONCE = "once"


@frozen
class Scheduled:
    """A name, when it runs (`model/cron.py` reads it), and its shell command.

    A run that takes longer than `timeout_s` is ended as any process: SIGTERM, and SIGKILL after `grace_s`.
    """

    name: str
    cron: str
    command: str
    time_zone: str = UTC
    overlap: Overlap = Overlap.SKIP
    missed: Missed = Missed.SKIP
    timeout_s: float = 3600.0
    grace_s: float = 30.0
    limits: Limits = field(default_factory=Limits)

    @property
    def rule(self) -> str:
        """When it runs, in one line; two that have the same run at the same times."""
        return f"{self.cron} {self.time_zone}"


def find_scheduled(schedule: Iterable[Scheduled], name: str) -> Scheduled | None:
    """The one of this name, if there is one."""
    return next((each for each in schedule if each.name == name), None)
