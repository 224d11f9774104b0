"""Entry: one row of the ledger, chained to the one before it by its hash; and what its body says."""

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum

from trivet.model.config import Config
from trivet.model.document import canonical, write_document
from trivet.model.release import Actor, Release

FIRST_HASH = "0" * 64
_FORMAT = "trivet-ledger-1"


class Kind(StrEnum):
    """What an entry tells of: a release, what became of one, or the end of the deploy."""

    RELEASE = "release"
    OUTCOME = "outcome"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row. `position` counts from 1 in each deploy; `number` is the release's (of DESTROYED: the last one's).

    `previous` is the hash of the entry before, 64 zeros for the first; `hash` is over everything else.
    """

    app: str
    deploy: str
    position: int
    kind: str
    number: int
    at: str
    body: str
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class ReleaseBody:
    """What the entry of a release holds: the whole release, and the digests of its two files.

    A release names no config value. `env_digest` is salted, so that nobody can test guesses at a value against a
    ledger that was handed round; sha256 in hex.
    """

    release: Release
    release_digest: str
    env_salt: str
    env_digest: str


@dataclass(frozen=True, slots=True)
class DestroyedBody:
    """Who destroyed the deploy."""

    actor: Actor


def entry_hash(*columns: str | int) -> str:
    """The hash of an entry: sha256 in hex over all its other columns, in their order, as one line of JSON.

    JSON quotes and escapes, so no two different rows have the same text.
    """
    return hashlib.sha256(canonical([_FORMAT, *columns]).encode()).hexdigest()


def seal(release: Release, config: Config) -> ReleaseBody:
    """The body for the ledger, with a fresh salt."""
    salt = secrets.token_hex(16)
    return ReleaseBody(release, digest(release_file(release)), salt, salted_digest(salt, env_file(config)))


def release_file(release: Release) -> bytes:
    """The content of release.json."""
    return write_document(release).encode()


def env_file(config: Config) -> bytes:
    """The content of env.json."""
    return write_document(config).encode()


def digest(content: bytes) -> str:
    """sha256 in hex."""
    return hashlib.sha256(content).hexdigest()


def salted_digest(salt: str, content: bytes) -> str:
    """sha256 in hex of salt and content."""
    return digest(salt.encode() + content)
