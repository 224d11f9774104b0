"""Verification: whether the ledger and the release folders say what was once written."""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace

from trivet.model.document import read_document
from trivet.model.home import Home
from trivet.model.names import AppName, Deploy, DeployName
from trivet.model.verification import Fault, Verification
from trivet.release.config_store import read_sealed
from trivet.release.entry import Entry, Kind, ReleaseBody, digest
from trivet.release.folder import Found, find_change
from trivet.release.log import Reader
from trivet.release.records import read_entries, read_last_number, read_life

Disk = Mapping[Deploy, Found]


def verify(connection: sqlite3.Connection, home: Home, disk: Disk) -> Verification:
    """The first fault, if there is one.

    The log is looked at first, since digests in a broken one mean nothing; then the folders and the stored config of the
    releases of every deploy's present life, and last whether the machine has releases that the log does not name.
    """
    reader = Reader()
    present = _Present(connection)
    for entry in read_entries(connection, None):
        if fault := next(reader.faults(entry), None):
            return Verification(_count(connection), fault)
        present.note(entry)
    fault = next(_release_faults(connection, home, present.releases), None)
    return Verification(reader.position, fault or next(_missing(connection, disk, reader.position), None))


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


def _count(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("SELECT count(*) FROM ledger").fetchone()
    return int(count)


def _deploy(entry: Entry) -> Deploy:
    return Deploy(AppName(entry.app), DeployName(entry.deploy))
