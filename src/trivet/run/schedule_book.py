"""The book of what is scheduled, run/schedule.json: up to when each has been dealt with, and how its last run ended.

Written before a run starts: whatever is killed when, nothing runs twice for the same time.
"""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from trivet.host import files
from trivet.model.document import write_document
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.scheduled_run import ScheduledRun
from trivet.run import documents


@frozen
class Line:
    """Of one name. `rule` is what it was dealt with by; `waits_for` the time of a run that waits for the one before.

    Times are seconds since the epoch.
    """

    rule: str
    settled_s: float
    waits_for: float | None = None
    last: ScheduledRun | None = None


@frozen
class Book:
    """All lines of one deploy, by name."""

    lines: Mapping[str, Line] = field(default_factory=dict)


def book_path(home: Home, deploy: Deploy) -> Path:
    """Where it is kept."""
    return home.run(deploy) / "schedule.json"


def read_book(home: Home, deploy: Deploy) -> Book:
    """What is written; nothing if nobody has written. Raises: InvalidDocument, MachineError."""
    return documents.read(Book, book_path(home, deploy), name="run/schedule.json") or Book()


def write_book(home: Home, deploy: Deploy, book: Book) -> None:
    """It is written, for good. Raises: MachineError."""
    files.replace(book_path(home, deploy), write_document(book).encode())
