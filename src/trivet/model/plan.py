"""Plan: what a command would make of a deploy, and the state it starts from: shown, kept by programs, and carried out.

It names keys of the config, never a value.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from trivet.model.build import Build
from trivet.model.config import ConfigChange, Fate
from trivet.model.document import canonical
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.output import Part
from trivet.model.process import ProcessChange, ProcessType
from trivet.model.release import Cause, Origin
from trivet.model.run import Address
from trivet.model.source import CommitLine, Source

_FORMAT = "trivet-plan-1"
_HASH_DIGITS = 32


class LayerFate(StrEnum):
    """What becomes of a layer: it is FOUND checked out, or STORED and checked out again, or MADE.

    EXPECTED: with the tools of the build before it would be found; only the build itself tells.
    """

    FOUND = "found"
    STORED = "stored"
    EXPECTED = "expected"
    MADE = "made"


@frozen
class PlannedLayer:
    """A layer of the build that is to be released; `size_bytes` is None if that is not known yet."""

    name: str
    fate: LayerFate
    size_bytes: int | None = None


@frozen
class PlannedBuild:
    """The build that is to be released. `id` is None if it has to be made.

    `input_key` is what decides a build before it is made.
    """

    source: Source
    processes: tuple[ProcessType, ...]
    builder: str
    input_key: str
    id: str | None = None
    layers: tuple[PlannedLayer, ...] = ()
    is_image: bool = False
    hooks: tuple[Part, ...] = ()

    @property
    def size_bytes(self) -> int | None:
        """None if it is not known of every layer."""
        sizes = [layer.size_bytes for layer in self.layers if layer.size_bytes is not None]
        return sum(sizes) if len(sizes) == len(self.layers) else None


@frozen
class Start:
    """The state of a deploy that a plan starts from.

    `last` is the number of its newest release, good or not, `release` that of its newest good one, with its build, commit
    and subject; `config_version` is what the next release starts from.
    """

    last: int = 0
    release: int | None = None
    build: str | None = None
    commit: str | None = None
    subject: str | None = None
    config_version: int = 0
    formation: Mapping[str, int] = field(default_factory=dict)
    is_stopped: bool = False
    address: Address | None = None


@frozen
class SchemaMove:
    """What a rollback would do about the schema: the code of a release of `then` meets a database of `now`.

    `since` is the release after which the database was found to be so. None: not known.
    """

    now: str | None
    then: str | None
    since: str | None

    @property
    def is_change(self) -> bool:
        """Whether both are known and differ."""
        return self.now is not None and self.then is not None and self.now != self.then


@frozen
class Refusal:
    """Why the command would change nothing: the error that it would end with."""

    error: str
    exit_code: int
    message: str
    hint: str
    detail: tuple[str, ...] = ()


@frozen
class Plan:
    """What a command would do.

    `number` is the release's (None: none would be made), `build` what is to be released. `config_version` is None if the
    config is yet to be stored. `release_command` is the new release's, run if `runs_release_command`. `starts` and `stops`
    are processes as the formation counts them. `address` moves the front door (None: it stays; port 0: a free one is chosen).
    `fates` are what a rollback does to each key, `schema` what it does about that of the database.
    `missing_keys` are those of a promotion's source that its target lacks. `commits` are what it has beyond the release that
    serves, `commits_left` what that has beyond it, newest first; `commits_note` says why there are none.
    `refusals` are what the command would end with, `notes` what a person should know, what cannot be told before as well.
    """

    deploy: Deploy
    cause: Cause
    reason: str
    start: Start
    number: int | None = None
    build: PlannedBuild | None = None
    origin: Origin | None = None
    config: ConfigChange = field(default_factory=ConfigChange)
    config_version: int | None = None
    fates: Mapping[str, Fate] = field(default_factory=dict)
    missing_keys: tuple[str, ...] = ()
    schema: SchemaMove | None = None
    processes: tuple[ProcessChange, ...] = ()
    starts: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()
    release_command: str | None = None
    runs_release_command: bool = False
    address: Address | None = None
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()
    commits: tuple[CommitLine, ...] = ()
    commits_left: tuple[CommitLine, ...] = ()
    commits_note: str = ""
    free_bytes: int | None = None

    @property
    def hash(self) -> str:
        """What tells this plan from any other: 32 hex digits, over what would be done and the state it starts from.

        Not over what may differ without another release coming of it: whether the build is there already, its
        size, the free space, the reason. docs/decisions/0012-plans.md
        """
        decided = [
            _FORMAT,
            self.deploy,
            self.cause,
            self.start,
            self.number,
            self._content(),
            self.origin,
            self.config,
            self.config_version,
            self.starts,
            self.stops,
            self.release_command,
            self.runs_release_command,
            self.address,
        ]
        return hashlib.sha256(canonical(decided).encode()).hexdigest()[:_HASH_DIGITS]

    def _content(self) -> object:
        """What is to be released. Of a deploy, what decides the build: it may be made meanwhile, by another deploy of the app."""
        build = self.build
        if build is None:
            return None
        identity = build.input_key if self.cause is Cause.DEPLOY else build.id
        return [identity, build.source.commit, build.source.directory, build.processes]


@frozen
class Terms:
    """On what terms a person has a command act: `reason` is why, for the ledger.

    `expect` is the hash of the plan that it must still be. `again` is why a build in quarantine is released all the same.
    `sign_with` is the path of the SSH key to sign the release with ("": the person's usual one; None: it is not signed).
    """

    reason: str = ""
    expect: str | None = None
    again: str = ""
    sign_with: str | None = None


def planned(build: Build, fate: LayerFate = LayerFate.FOUND) -> PlannedBuild:
    """A build that there is."""
    return PlannedBuild(
        source=build.source,
        processes=build.processes,
        builder=build.builder,
        input_key=build.input_key,
        id=build.id,
        layers=tuple(PlannedLayer(layer.name, fate, layer.size_bytes) for layer in build.layers),
        is_image=build.is_image,
        hooks=build.hooks,
    )
