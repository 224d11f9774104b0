"""Verification: whether the ledger and the release folders say what was once written."""

import sqlite3
from collections.abc import Iterator, Mapping
from itertools import chain

from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.verification import Fault, Verification
from trivet.release.checkpoints import checkpoint_of
from trivet.release.claims import Claim, gather
from trivet.release.config_store import read_sealed
from trivet.release.entry import Kind
from trivet.release.evidence import Evidence, Folders, config_fault, evidence_of
from trivet.release.folder import Found
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
        if fault := reader.read(entry):
            return Verification(checkpoint_of(reader.position, reader.peaks), fault)
        if entry.kind == Kind.RELEASE:
            present.note(evidence_of(entry, reader.body))
        if reader.position in sizes:
            roots[reader.position] = checkpoint_of(reader.position, reader.peaks).root
    faults = chain(
        claims.disproved(roots, reader.position),
        claims.faults,
        _release_faults(connection, home, disk, present.releases),
        _missing(connection, disk, reader.position),
    )
    return Verification(checkpoint_of(reader.position, reader.peaks), next(faults, None))


class _Present:
    """Gathers what is told of the releases that were not destroyed since."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.releases: list[Evidence] = []
        self._connection = connection
        self._lives: dict[Deploy, int] = {}

    def note(self, told: Evidence) -> None:
        if told.deploy not in self._lives:
            self._lives[told.deploy] = read_life(self._connection, told.deploy).number
        if told.number > self._lives[told.deploy]:
            self.releases.append(told)


def _release_faults(
    connection: sqlite3.Connection, home: Home, disk: Disk, releases: list[Evidence]
) -> Iterator[Fault]:
    folders = {deploy: Folders(home, deploy, found) for deploy, found in disk.items()}
    stored: dict[tuple[Deploy, int], str | None] = {}
    for told in releases:
        version = (told.deploy, told.config_version)
        if version not in stored:
            stored[version] = read_sealed(connection, *version)
        reason = folders[told.deploy].fault(told) if told.deploy in folders else None
        if reason := reason or config_fault(told, stored[version]):
            yield Fault(told.position, reason, told.deploy.app, told.deploy.name, told.number)


def _missing(connection: sqlite3.Connection, disk: Disk, last: int) -> Iterator[Fault]:
    for deploy, found in disk.items():
        for number in found.beyond(read_last_number(connection, deploy)):
            yield Fault(last + 1, "it is missing: the machine has this release", deploy.app, deploy.name, number)
