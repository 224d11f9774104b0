"""Keeps the journal of events. Whatever becomes of it, what runs runs on: an event that cannot be written is counted.

Nothing is synced: what a crash of the machine takes with it is the last moments, and a sync would hold up every start.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from trivet.host.clock import now
from trivet.model.event import Event, EventKind
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.run.events import FULL_BYTES, journal_path, line_of, put_aside
from trivet.run.supervisor.loop import Loop


class Journal:
    """Events are told as they happen and written once whatever made them is done: a start does not wait for its line."""

    def __init__(self, home: Home, loop: Loop) -> None:
        self._home = home
        self._loop = loop
        self._waiting: dict[tuple[Deploy, bool], list[Event]] = {}
        self._lost: dict[Path, int] = {}
        self._counts: dict[Deploy, dict[EventKind, int]] = {}

    def tell(self, deploy: Deploy, event: Event) -> None:
        """The event will be in the journal soon; what people do is there at once, before they are told so."""
        counts = self._counts.setdefault(deploy, {})
        counts[event.kind] = counts.get(event.kind, 0) + 1
        if not self._waiting:
            self._loop.soon(self.flush)
        self._waiting.setdefault((deploy, event.kind.is_of_process), []).append(event)
        if not event.kind.is_of_process:
            self.flush()

    def counts(self, deploy: Deploy) -> Mapping[EventKind, int]:
        """How many events of each kind there were of the deploy, since this supervisor started."""
        return self._counts.get(deploy, {})

    def flush(self) -> None:
        """All that was told is in the journal, as far as the machine lets us."""
        waiting, self._waiting = self._waiting, {}
        for (deploy, of_processes), events in waiting.items():
            self._write(journal_path(self._home, deploy, of_processes=of_processes), events)

    def _write(self, path: Path, events: list[Event]) -> None:
        try:
            _append(path, b"".join(map(line_of, (*self._missing(path), *events))))
        except FileNotFoundError:
            return  # its folder is gone: the deploy was destroyed
        except OSError as error:
            self._lose(path, len(events), error)
        else:
            self._lost.pop(path, None)

    def _missing(self, path: Path) -> tuple[Event, ...]:
        count = self._lost.get(path, 0)
        return (Event(now(), EventKind.LOST, how=f"events could not be written: {count}"),) if count else ()

    def _lose(self, path: Path, count: int, error: OSError) -> None:
        if path not in self._lost:
            with contextlib.suppress(OSError):  # it may well be the same full disk
                sys.stderr.write(f"trivet: {path} cannot be written: {error.strerror}; events are lost until it can\n")
        self._lost[path] = self._lost.get(path, 0) + count


def _append(path: Path, lines: bytes) -> None:
    """The lines are the file's last, whole or not at all. Raises: OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            lines = b"\n" + lines  # the machine crashed in the middle of a line
        written = os.write(descriptor, lines)
        if written < len(lines):
            os.ftruncate(descriptor, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(descriptor)
    if size + written > FULL_BYTES:
        path.replace(put_aside(path))
