"""`releases --all-deploys`: the deploys of an app side by side."""

from trivet.cli.documents import Document
from trivet.cli.output import age, print_json, print_table
from trivet.flows.installation import Installation
from trivet.flows.side_by_side import Column, Row, read_side_by_side
from trivet.model.names import AppName
from trivet.model.release import Record

_MOST_IN_A_CELL = 3


def show_side_by_side(place: Installation, app: AppName, limit: int | None, *, as_json: bool) -> None:
    """A row a build, a column a deploy: the releases of the build there."""
    shown = read_side_by_side(place, app, limit)
    if as_json:
        print_json([_document(row, shown.columns) for row in shown.rows])
        return
    print_table(
        ("COMMIT", "SUBJECT", "BUILD", *(column.name.upper() for column in shown.columns), "AGE"),
        [_row(row, shown.columns) for row in shown.rows],
        nothing=f"{app} has no releases yet. `trivet deploy` makes one.",
    )


def _row(row: Row, columns: tuple[Column, ...]) -> tuple[str, ...]:
    source = row.build.source
    cells = (_cell(row.releases[column.name], column) for column in columns)
    return (source.short, source.subject, row.build.id, *cells, age(row.build.created_at))


def _cell(records: tuple[Record, ...], column: Column) -> str:
    told = [_told(record, column) for record in records[:_MOST_IN_A_CELL]]
    more = ["…"] if len(records) > _MOST_IN_A_CELL else []
    return ", ".join((*told, *more)) or "-"


def _told(record: Record, column: Column) -> str:
    mark = "*" if record.release.number == column.running else ""
    state = "" if record.is_good else f" {record.outcome.state.value}"
    return f"{record.release.name}{mark}{state}"


def _document(row: Row, columns: tuple[Column, ...]) -> Document:
    source = row.build.source
    return {
        "build": row.build.id,
        "commit": source.commit,
        "subject": source.subject,
        "built_at": row.build.created_at,
        "deploys": {
            column.name: [_release_document(record, column) for record in row.releases[column.name]]
            for column in columns
        },
    }


def _release_document(record: Record, column: Column) -> Document:
    number = record.release.number
    return {
        "release": number,
        "state": "superseded" if record.superseded_by else record.outcome.state,
        "running": number == column.running,
        "pinned": number in column.pinned,
    }
