"""Verification: whether the ledger and the release folders say what was once written."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Self

from trivet.errors import InvalidDocument
from trivet.model.document import from_json, read_document
from trivet.model.home import Home
from trivet.model.release import Outcome
from trivet.release.entry import (
    FIRST_HASH,
    DestroyedBody,
    Entry,
    Kind,
    ReleaseBody,
    entry_hash,
    salted_digest,
)
from trivet.release.folder import find_change

StoredConfig = Callable[[int], str | None]
"""The document of a config version as it is stored; None if there is none."""

_BODIES: dict[Kind, type[object]] = {
    Kind.RELEASE: ReleaseBody,
    Kind.OUTCOME: Outcome,
    Kind.DESTROYED: DestroyedBody,
}


@dataclass(frozen=True, slots=True)
class Verification:
    """How many entries were read, and the first bad one: its position, its release's number, and what is wrong.

    `first_bad` and `number` are None if all are good. Entries cut off the very end leave a chain that is whole: they are
    missed only if they named a release that this machine still has.
    """

    entries: int
    first_bad: int | None = None
    number: int | None = None
    reason: str = ""

    def without(self, number: int) -> Self:
        """The same, and if all seemed good, the entry behind the last is bad: it should name this release."""
        if self.first_bad is not None:
            return self
        return replace(
            self, first_bad=self.entries + 1, number=number, reason="it is missing: the machine has this release"
        )


@dataclass(frozen=True, slots=True)
class _Fault:
    position: int
    number: int | None
    reason: str


def verify(entries: Iterable[Entry], home: Home, stored_config: StoredConfig, *, since: int) -> Verification:
    """The first bad entry, if there is one.

    The chain is looked at first, since digests in a broken one mean nothing; then the folders and the stored config of
    releases with a number above `since`.
    """
    read = tuple(entries)
    fault = next(_chain_faults(read), None)
    if fault is None:
        present = (entry for entry in read if entry.kind == Kind.RELEASE and entry.number > since)
        fault = next(_release_faults(present, home, stored_config), None)
    if fault is None:
        return Verification(len(read))
    return Verification(len(read), fault.position, fault.number, fault.reason)


def _chain_faults(entries: Iterable[Entry]) -> Iterator[_Fault]:
    previous, released = FIRST_HASH, 0
    concluded: set[int] = set()
    for position, entry in enumerate(entries, start=1):
        if entry.position > position:
            yield _Fault(position, None, "it is missing")
        reason = _entry_fault(entry, previous) or _number_fault(entry, released, concluded)
        if reason:
            yield _Fault(entry.position, entry.number, reason)
        previous = entry.hash
        if entry.kind == Kind.RELEASE:
            released = entry.number
        elif entry.kind == Kind.OUTCOME:
            concluded.add(entry.number)


def _entry_fault(entry: Entry, previous: str) -> str | None:
    own = (entry.app, entry.deploy, entry.position, entry.kind, entry.number, entry.at, entry.body, entry.previous)
    if entry.hash != entry_hash(*own):
        return "it is not what was written: its hash does not fit"
    if entry.previous != previous:
        return "it does not follow on the entry before"
    return _body_fault(entry)


def _body_fault(entry: Entry) -> str | None:
    try:
        kind = from_json(Kind, entry.kind, name="kind")
        body = read_document(_BODIES[kind], entry.body, name="body")
    except InvalidDocument:
        return "it cannot be read"
    if isinstance(body, ReleaseBody):
        release = body.release
        if (release.deploy.app, release.deploy.name, release.number) != (entry.app, entry.deploy, entry.number):
            return "it holds another release"
    return None


def _number_fault(entry: Entry, released: int, concluded: set[int]) -> str | None:
    if entry.kind == Kind.OUTCOME:
        if not 1 <= entry.number <= released:
            return "it is the outcome of a release that is not there"
        return "it is a second outcome" if entry.number in concluded else None
    expected = released + 1 if entry.kind == Kind.RELEASE else released
    return None if entry.number == expected else f"its number should be {expected}"


def _release_faults(entries: Iterable[Entry], home: Home, stored_config: StoredConfig) -> Iterator[_Fault]:
    for entry in entries:
        body = read_document(ReleaseBody, entry.body, name="body")
        reason = find_change(home, body) or _config_fault(body, stored_config(body.release.config_version))
        if reason:
            yield _Fault(entry.position, entry.number, reason)


def _config_fault(body: ReleaseBody, stored: str | None) -> str | None:
    version = body.release.config_version
    if stored is None:
        return f"config version {version} is missing"
    if salted_digest(body.env_salt, stored.encode()) != body.env_digest:
        return f"config version {version} was changed"
    return None
