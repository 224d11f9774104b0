"""The journal of a deploy, run/events/: its events, one JSON document a line, appended by the supervisor alone.

What processes do by themselves and what people do to them lie in files of their own, so that a crash loop cannot push out
who scaled. Each file is put aside once it is full, in the place of the one before: the last `FULL_BYTES` of each are always
there, and never more than twice that.
"""

import contextlib
import heapq
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from trivet.errors import InvalidDocument
from trivet.host import files
from trivet.model.any_version import read_any_version
from trivet.model.document import canonical, to_json
from trivet.model.event import Event, EventKind
from trivet.model.home import Home
from trivet.model.names import Deploy

FULL_BYTES = 256 * 1024  # some 1,500 events
_PROCESSES, _DEPLOY = "processes.jsonl", "deploy.jsonl"


def journal_path(home: Home, deploy: Deploy, *, of_processes: bool) -> Path:
    """The file that what processes do, or people, is appended to."""
    return home.run(deploy) / "events" / (_PROCESSES if of_processes else _DEPLOY)


def put_aside(path: Path) -> Path:
    """Where a full file goes."""
    return path.with_suffix(f".1{path.suffix}")


def line_of(event: Event) -> bytes:
    """The event as its line in the journal; what does not apply is left out."""
    told = {name: value for name, value in to_json(event).items() if value not in (None, "", [])}
    return f"{canonical(told)}\n".encode(errors="replace")  # what is no text in an argument or a file's name


def read_events(home: Home, deploy: Deploy) -> tuple[Event, ...]:
    """The deploy's events, oldest first; none if there is no such deploy. Raises: MachineError.

    A line that cannot be read is told as LOST. One without its newline is still being written, and does not count.
    """
    streams = (_read_file(journal_path(home, deploy, of_processes=each)) for each in (True, False))
    return tuple(heapq.merge(*streams, key=lambda event: event.at))


def _read_file(path: Path) -> list[Event]:
    try:
        data = _read_both(path)
    except OSError as error:
        raise files.refused(error, f"read {path}") from error
    return list(parse_lines(data, path))


def _read_both(path: Path) -> bytes:
    """What was put aside, then the present file. That is opened first: it may be put aside just now."""
    with contextlib.ExitStack() as opened:
        present, before = (_open(each, opened) for each in (path, put_aside(path)))
        if present is not None and before is not None and os.path.sameopenfile(present.fileno(), before.fileno()):
            before = None
        return b"".join(file.read() for file in (before, present) if file is not None)


def _open(path: Path, opened: contextlib.ExitStack) -> BinaryIO | None:
    try:
        return opened.enter_context(path.open("rb"))
    except FileNotFoundError:
        return None


def parse_lines(data: bytes, path: Path, at: str = "") -> Iterator[Event]:
    """The events on these lines of the journal. One that cannot be read is told as LOST, at the time of the one before."""
    for line in data.splitlines(keepends=True):
        if not line.strip() or not line.endswith(b"\n"):
            continue
        try:
            event = read_any_version(Event, line, name="an event")
        except InvalidDocument:
            event = Event(at, EventKind.LOST, how=f"a line of run/events/{path.name} cannot be read")
        at = event.at
        yield event
