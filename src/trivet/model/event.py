"""Events: what happens to a deploy's processes, and what people do to them; the lines of the run stage's journal."""

from collections.abc import Mapping
from enum import StrEnum

from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.release import Act


class EventKind(StrEnum):
    """What happened: first to one process, then to the deploy.

    STARTED, READY, RESTARTED (after it CRASHED), ADOPTED (found running by a supervisor that came up), FAILED (it ended
    before it was ready), DRAINED (it left, with requests in flight), ENDED (it was told to); RUN_STARTED, RUN_ENDED (well),
    RUN_FAILED, RUN_SKIPPED of what is scheduled. SWITCHED: another release serves. LOST: something could not be written to
    the journal, or cannot be read from it.
    """

    STARTED = "started"
    READY = "ready"
    FAILED = "failed"
    CRASHED = "crashed"
    RESTARTED = "restarted"
    ADOPTED = "adopted"
    DRAINED = "drained"
    ENDED = "ended"
    RUN_STARTED = "run_started"
    RUN_ENDED = "run_ended"
    RUN_FAILED = "run_failed"
    RUN_SKIPPED = "run_skipped"
    SWITCHED = "switched"
    ROLL_OUT_FAILED = "roll_out_failed"
    SCALED = "scaled"
    SCALE_FAILED = "scale_failed"
    DEPLOY_RESTARTED = "deploy_restarted"
    RESTART_FAILED = "restart_failed"
    DEPLOY_STOPPED = "deploy_stopped"
    DEPLOY_STARTED = "deploy_started"
    SUPERVISOR_UP = "supervisor_up"
    SUPERVISOR_DOWN = "supervisor_down"
    LOST = "lost"

    @property
    def is_of_process(self) -> bool:
        """Whether it happens by itself, however often; the others are what people do, and seldom."""
        return self in _OF_PROCESS

    @property
    def is_exit(self) -> bool:
        """Whether a process has exited, or could not be started."""
        return self in (
            EventKind.CRASHED,
            EventKind.FAILED,
            EventKind.ENDED,
            EventKind.RUN_ENDED,
            EventKind.RUN_FAILED,
        )


_OF_PROCESS = frozenset(
    (
        EventKind.STARTED,
        EventKind.READY,
        EventKind.FAILED,
        EventKind.CRASHED,
        EventKind.RESTARTED,
        EventKind.ADOPTED,
        EventKind.DRAINED,
        EventKind.ENDED,
        EventKind.RUN_STARTED,
        EventKind.RUN_ENDED,
        EventKind.RUN_FAILED,
        EventKind.RUN_SKIPPED,
    )
)


@frozen
class Event:
    """One thing that happened; `at` is ISO 8601 in UTC. What does not apply is None or empty.

    `how` goes on after the kind, in words: "exited with 3", "was ended by SIGKILL", why a roll-out failed. `after_s` is
    how long the process had run, or taken to be ready. `counts` is the formation that was asked for, `before` what it was.
    `status` or `signal` ("SIGKILL") is what a process exited with, as far as anybody can tell. `output` are the last lines
    that a process wrote which ended by itself. `planned` is the time that something scheduled was to run at, in UTC.
    """

    at: str
    kind: EventKind
    release: int | None = None
    process: str | None = None
    pid: int | None = None
    how: str = ""
    after_s: float | None = None
    counts: Mapping[str, int] | None = None
    before: Mapping[str, int] | None = None
    by: Act | None = None
    status: int | None = None
    signal: str | None = None
    output: tuple[str, ...] = ()
    planned: str | None = None


@frozen
class Told:
    """An event, and the deploy that it happened to."""

    deploy: Deploy
    event: Event
