"""Verification: whether the ledger and the release folders say what was once written."""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain

from trivet.model.document import read_document
from trivet.model.home import Home
from trivet.model.names import AppName, Deploy, DeployName
from trivet.model.verification import Fault, Verification
from trivet.release.checkpoints import checkpoint_of
from trivet.release.claims import Claim, gather
from trivet.release.config_store import read_sealed
from trivet.release.entry import Entry, Kind, ReleaseBody, digest
from trivet.release.folder import Found, find_change
from trivet.release.key import public_key
from trivet.release.log import Reader
from trivet.release.merkle import NO_PEAKS
from trivet.release.records import read_entries, read_last_number, read_life

Disk = Mapping[Deploy, Found]


def verify(connection: sqlite3.Connection, home: Home, disk: Disk, given: Claim | None) -> Verification:
    """The first fault, if there is one.

    The log is looked at first, since nothing in a broken one means anything; then what checkpoints say of it, then the
    folders and the stored config of the releases of every deploy's present life, and last whether the machine has releases
    that the log does not name. `disk` was looked at before: a release that is appended meanwhile has its entry.
    """
    claims = gather(connection, home, disk, given)
    sizes, roots = claims.sizes, {0: checkpoint_of(0, NO_PEAKS).root}
    reader, present = Reader(), _Present(connection)
    for entry in read_entries(connection, None):
        before = reader.position, reader.peaks
        if fault := next(reader.faults(entry), None):
            return Verification(checkpoint_of(*before), fault)
        present.note(entry)
        if reader.position in sizes:
            roots[reader.position] = checkpoint_of(reader.position, reader.peaks).root
    faults = chain(
        claims.disproved(public_key(home), roots, reader.position),
        claims.faults,
        _release_faults(connection, home, present.releases),
        _missing(connection, disk, reader.position),
    )
    return Verification(checkpoint_of(reader.position, reader.peaks), next(faults, None))


class _Present:
    """Gathers the entries of releases that were not destroyed since."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.releases: list[Entry] = []
        self._connection = connection
        self._lives: dict[tuple[str, str], int] = {}

    def note(self, entry: Entry) -> None:
        if entry.kind != Kind.RELEASE:
            return
        key = (entry.app, entry.deploy)
        if key not in self._lives:
            self._lives[key] = read_life(self._connection, _deploy(entry)).number
        if entry.number > self._lives[key]:
            self.releases.append(entry)


def _release_faults(connection: sqlite3.Connection, home: Home, entries: list[Entry]) -> Iterator[Fault]:
    documents: dict[tuple[str, str, int], str | None] = {}
    for entry in entries:
        body = replace(read_document(ReleaseBody, entry.body, name="body"), env_salt=entry.salt)
        version = body.release.config_version
        key = (entry.app, entry.deploy, version)
        if key not in documents:
            documents[key] = read_sealed(connection, _deploy(entry), version)
        reason = find_change(home, body) or _config_fault(body, documents[key])
        if reason:
            yield Fault(entry.position, reason, entry.app, entry.deploy, entry.number)


def _config_fault(body: ReleaseBody, stored: str | None) -> str | None:
    version = body.release.config_version
    if stored is None:
        return f"config version {version} is missing"
    if digest(stored.encode()) != body.sealed_digest:
        return f"config version {version} was changed"
    return None


def _missing(connection: sqlite3.Connection, disk: Disk, last: int) -> Iterator[Fault]:
    for deploy, found in disk.items():
        for number in found.beyond(read_last_number(connection, deploy)):
            yield Fault(last + 1, "it is missing: the machine has this release", deploy.app, deploy.name, number)


def _deploy(entry: Entry) -> Deploy:
    return Deploy(AppName(entry.app), DeployName(entry.deploy))
