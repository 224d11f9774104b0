"""The deploys of an app side by side: which build is where, as which release."""

from collections.abc import Iterable, Mapping

from trivet.flows.installation import Installation
from trivet.model.build import Build
from trivet.model.frozen import frozen
from trivet.model.names import AppName, Deploy, DeployName
from trivet.model.release import Cause, Record
from trivet.release import Ledger
from trivet.run import Machine


@frozen
class Column:
    """A deploy: its records, newest first, the number of the release that runs, and those that are pinned."""

    name: DeployName
    records: tuple[Record, ...]
    running: int | None
    pinned: frozenset[int]


@frozen
class Row:
    """A build, and the releases of it by deploy, newest first."""

    build: Build
    releases: Mapping[DeployName, tuple[Record, ...]]


@frozen
class SideBySide:
    """Builds as rows, the newest first; deploys as columns, in the order in which builds are promoted."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def read_side_by_side(installation: Installation, app: AppName, limit: int | None) -> SideBySide:
    """The newest builds (None: all) that the app's deploys have had, and whatever runs."""
    machine = Machine(installation.home)
    with Ledger(installation.home) as ledger:
        deploys = [deploy for deploy in ledger.deploys() if deploy.app == app]
        columns = [
            Column(deploy.name, _records(ledger, deploy, limit), machine.current(deploy), ledger.pins(deploy))
            for deploy in deploys
        ]
    return line_up(columns, limit)


def line_up(columns: Iterable[Column], limit: int | None) -> SideBySide:
    """Pure. Of the older rows only those that run somewhere are shown: what the others lack begins above them."""
    columns = _in_order(tuple(columns))
    releases = [record.release for column in columns for record in column.records]
    builds = {release.build.id: release.build for release in releases}
    newest_first = sorted(builds.values(), key=lambda build: build.created_at, reverse=True)
    rows = [Row(build, _cells(columns, build.id)) for build in newest_first]
    shown = [row for place, row in enumerate(rows) if limit is None or place < limit or _runs(columns, row)]
    return SideBySide(columns, tuple(shown))


def _records(ledger: Ledger, deploy: Deploy, limit: int | None) -> tuple[Record, ...]:
    records = ledger.records(deploy, limit=limit)
    current = ledger.current(deploy)
    return records if current is None or current in records else (*records, current)


def _cells(columns: Iterable[Column], build_id: str) -> Mapping[DeployName, tuple[Record, ...]]:
    return {
        column.name: tuple(record for record in column.records if record.release.build.id == build_id)
        for column in columns
    }


def _runs(columns: Iterable[Column], row: Row) -> bool:
    return any(record.release.number == column.running for column in columns for record in row.releases[column.name])


def _in_order(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """A deploy stands right of those that are promoted to it; else they are sorted by name."""
    sources = {column.name: _sources(column) for column in columns}

    def depth(name: DeployName, seen: frozenset[DeployName]) -> int:
        before = sources.get(name, frozenset()) - seen - {name}
        return max((1 + depth(each, seen | {name}) for each in before), default=0)

    return tuple(sorted(columns, key=lambda column: (depth(column.name, frozenset()), column.name)))


def _sources(column: Column) -> frozenset[DeployName]:
    origins = (each.release.origin for each in column.records if each.release.cause is Cause.PROMOTE)
    return frozenset(origin.deploy.name for origin in origins if origin is not None)
