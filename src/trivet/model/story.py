"""The story of an app: what happened to all its deploys, whichever stage knows it, one thing a line."""

from collections.abc import Mapping
from enum import StrEnum

from trivet.model.frozen import frozen
from trivet.model.names import AppName
from trivet.model.release import Act, Origin


class Topic(StrEnum):
    """What a line is about. More may come."""

    BUILD = "build"
    BUILD_FAILED = "build_failed"
    RELEASE = "release"
    RELEASE_FAILED = "release_failed"
    RELEASE_PENDING = "release_pending"
    CRASH = "crash"
    SCALE = "scale"
    SCALE_FAILED = "scale_failed"
    RESTART = "restart"
    RESTART_FAILED = "restart_failed"
    STOP = "stop"
    START = "start"
    UP = "up"
    DOWN = "down"
    PIN = "pin"
    UNPIN = "unpin"
    PRUNE = "prune"
    DESTROY = "destroy"
    LOST = "lost"


@frozen
class Window:
    """How much of a story is wanted: the newest `limit` lines, those since then (ISO 8601 in UTC), of one deploy; None: all.

    What is about the whole app is part of every deploy's story.
    """

    limit: int | None = None
    since: str | None = None
    deploy: str | None = None

    def shows(self, deploy: str | None, at: str) -> bool:
        """Whether a line about this deploy (None: the whole app) at this time is wanted, if there are not too many."""
        return (self.deploy is None or deploy in (None, self.deploy)) and (self.since is None or at >= self.since)

    def is_full(self, count: int, at: str) -> bool:
        """Whether nothing older than this time is wanted once there are so many lines."""
        return (self.limit is not None and count >= self.limit) or (self.since is not None and at < self.since)


@frozen
class Line:
    """One thing that happened, at `at` (ISO 8601 in UTC); `told` says what, in words, but not when, where and by whom.

    `deploy` is the name of the deploy, None for what is about the whole app. What does not apply is None. Of crashes of
    the same kind in a row `times` is how many there were, `since` when the first one was, `at` when the last; `output` are the
    last lines that the process wrote, of the last one.
    """

    at: str
    app: AppName
    topic: Topic
    told: str
    deploy: str | None = None
    act: Act | None = None
    release: int | None = None
    build: str | None = None
    commit: str | None = None
    subject: str | None = None
    origin: Origin | None = None
    failure: str | None = None
    process: str | None = None
    counts: Mapping[str, int] | None = None
    before: Mapping[str, int] | None = None
    freed_bytes: int | None = None
    output: tuple[str, ...] = ()
    times: int = 1
    since: str | None = None
