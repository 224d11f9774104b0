"""Release: build + config under one number, never changed once written; and what the ledger says about it."""

from collections.abc import Mapping
from enum import StrEnum

from trivet import __version__
from trivet.model.build import Build
from trivet.model.config import ConfigChange
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.process import ProcessType
from trivet.model.run import Drain, Proof


class Cause(StrEnum):
    """What made a release."""

    DEPLOY = "deploy"
    CONFIG = "config"
    ROLLBACK = "rollback"
    PROMOTE = "promote"


class State(StrEnum):
    """What became of a release. PENDING: its flow has not written an outcome yet."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@frozen
class Actor:
    """Who did it: the user's name and the machine's.

    `authority` is what let them in: the fingerprint of an SSH key, `SHA256:…`, or the name of an API token; None if
    nobody told. It is as true as the user's own environment.
    """

    user: str
    host: str
    authority: str | None = None

    def __str__(self) -> str:
        return f"{self.user}@{self.host}"


@frozen
class Act:
    """Who did something, why (what was done, if they did not say), and with which version of Trivet."""

    actor: Actor
    reason: str = ""
    tool_version: str = __version__


@frozen
class Origin:
    """Where a rollback or a promotion took its build from."""

    deploy: Deploy
    number: int


@frozen
class Release:
    """Ready for execution: the document `release.json`; the config's values lie beside it in `env.age`, sealed.

    `created_at` is ISO 8601 in UTC. `config_version` and `config_change` (against the
    deploy's good release before) name no values. `tool_version` is that of the Trivet that made it.
    """

    deploy: Deploy
    number: int
    build: Build
    config_version: int
    config_change: ConfigChange
    cause: Cause
    reason: str
    actor: Actor
    created_at: str
    origin: Origin | None = None
    tool_version: str = ""

    @property
    def act(self) -> Act:
        """Who made it, and why."""
        return Act(self.actor, self.reason, self.tool_version)

    @property
    def processes(self) -> tuple[ProcessType, ...]:
        return self.build.processes

    @property
    def name(self) -> str:
        return f"v{self.number}"


@frozen
class Draft:
    """A release before it has a number: what `Ledger.append` is given, together with the config's values."""

    deploy: Deploy
    build: Build
    config_version: int
    config_change: ConfigChange
    cause: Cause
    reason: str
    actor: Actor
    origin: Origin | None = None


@frozen
class Outcome:
    """What became of a release: SUCCEEDED, or FAILED with the reason and the last lines of output that show why.

    `schema` is the marker of the database's schema after its release command; None if nobody asked, or no answer can be used.
    `timings_s`, `connections` and `proof` are the roll-out's.
    """

    state: State
    reason: str = ""
    output: tuple[str, ...] = ()
    timings_s: Mapping[str, float] | None = None
    schema: str | None = None
    connections: Drain | None = None
    proof: Proof | None = None


@frozen
class Record:
    """A release as the ledger tells it: what was released, and what became of it. `ended_at` is None while pending.

    `superseded_by` is the number of the good release that took the place of this one, if one has.
    """

    release: Release
    outcome: Outcome
    ended_at: str | None
    superseded_by: int | None = None

    @property
    def is_good(self) -> bool:
        return self.outcome.state is State.SUCCEEDED
