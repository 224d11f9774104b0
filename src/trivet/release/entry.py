"""Entry: one row of the ledger, a leaf of the hash tree over them all; and what its body says."""

import hashlib
import secrets
from enum import StrEnum
from typing import NamedTuple

from trivet.model.config import Config
from trivet.model.document import from_json, read_document, write_document
from trivet.model.frozen import frozen
from trivet.model.pruning import Change
from trivet.model.release import Act, Outcome, Release
from trivet.release.merkle import leaf_hash

_LINES = "trivet-ledger-2\n%s\n%s\n%s\n%s\n%s\n%s\n%s"


class Kind(StrEnum):
    """What an entry tells of. More may come: nothing here or in the schema ends the list.

    RELEASE: a release was made; it is pending. ROLL_OUT: its roll-out began. OUTCOME: it succeeded, or failed. SUPERSEDED:
    it was good, and a newer good one took its place. PINNED, UNPINNED: pruning keeps its build, or may take it again.
    PRUNED: builds of the app left the disk, wholly or in part. DESTROYED: the deploy is no more.
    """

    RELEASE = "release"
    ROLL_OUT = "roll_out"
    OUTCOME = "outcome"
    SUPERSEDED = "superseded"
    PINNED = "pinned"
    UNPINNED = "unpinned"
    PRUNED = "pruned"
    DESTROYED = "destroyed"


class Entry(NamedTuple):  # no dataclass: a verification makes 100,000 of them
    """One row. `position` counts from 1 over the whole installation; `at` is ISO 8601 in UTC; `body` is one line of JSON.

    `number` is the release's; of DESTROYED the deploy's last one, of PRUNED 0. `deploy` is "" where an entry is about no
    one deploy, `app` where it is about no one app. `salt` is the one of a release's config, else "": no hash
    covers it. `hash` is that of the leaf, `peaks` tell of the whole tree up to here (merkle.py).
    """

    position: int
    app: str
    deploy: str
    kind: str
    number: int
    at: str
    body: str
    salt: str
    hash: bytes
    peaks: bytes


@frozen
class ReleaseBody:
    """What the entry of a release holds: the whole release, and the digests of its files; sha256 in hex.

    A release names no config value. `sealed_digest` is of the config as it is sealed, which anybody can check (of nothing,
    if there is no config). `env_digest` is of the plain environment, and salted, so that nobody can test guesses at a value
    against an entry that was handed round. For the same reason the body in the ledger has "" for `env_salt`, which lies in
    a column of its own.
    """

    release: Release
    release_digest: str
    sealed_digest: str
    env_salt: str
    env_digest: str


@frozen
class RollOutBody:
    """Who began to roll the release out; it is to take the place of release `replaces` (None: of none)."""

    act: Act
    replaces: int | None


@frozen
class OutcomeBody:
    """What became of the release, and whose command found that out."""

    act: Act
    outcome: Outcome


@frozen
class SupersededBody:
    """The good release took the place of this one."""

    act: Act
    by: int


@frozen
class PinBody:
    """Who pinned the release, or took the pin away."""

    act: Act


@frozen
class PrunedBody:
    """What became of which builds of the app, and what that freed; `leftovers_bytes` is of what belongs to no app."""

    act: Act
    changes: tuple[Change, ...]
    leftovers_bytes: int = 0


@frozen
class DestroyedBody:
    """Who destroyed the deploy."""

    act: Act


BODIES: dict[Kind, type[object]] = {
    Kind.RELEASE: ReleaseBody,
    Kind.ROLL_OUT: RollOutBody,
    Kind.OUTCOME: OutcomeBody,
    Kind.SUPERSEDED: SupersededBody,
    Kind.PINNED: PinBody,
    Kind.UNPINNED: PinBody,
    Kind.PRUNED: PrunedBody,
    Kind.DESTROYED: DestroyedBody,
}


def read_body(entry: Entry) -> object:
    """The value of the entry's body, of the type that its kind has. Raises: InvalidDocument."""
    name = f"entry {entry.position}"
    return read_document(BODIES[from_json(Kind, entry.kind, name=name)], entry.body, name=name)


def entry_bytes(*columns: str | int) -> bytes:
    """What is hashed of an entry: a line that names this form, then position, app, deploy, kind, number, at and body.

    One to a line, and only the body, which is the last, may hold line breaks: no two different rows have the same bytes.
    """
    return (_LINES % columns).encode()


def entry_hash(*columns: str | int) -> bytes:
    """The hash of an entry with these columns, from position to body, as a leaf of the tree."""
    return leaf_hash(entry_bytes(*columns))


def describe(release: Release, config: Config, sealed: str) -> ReleaseBody:
    """The body for the ledger, with a fresh salt. `sealed` is the config as it is stored."""
    salt = secrets.token_hex(16)
    return ReleaseBody(
        release=release,
        release_digest=digest(release_file(release)),
        sealed_digest=digest(sealed.encode()),
        env_salt=salt,
        env_digest=salted_digest(salt, env_file(config)),
    )


def release_file(release: Release) -> bytes:
    """The content of release.json."""
    return write_document(release).encode()


def env_file(config: Config) -> bytes:
    """The content of an environment, and what is sealed of a config."""
    return write_document(config).encode()


def digest(content: bytes) -> str:
    """sha256 in hex."""
    return hashlib.sha256(content).hexdigest()


def salted_digest(salt: str, content: bytes) -> str:
    """sha256 in hex of salt and content."""
    return digest(salt.encode() + content)
