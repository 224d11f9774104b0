"""Keeps the logs' indexes: a row when a log grows after a pause, then one every 50 ms while it goes on growing."""

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from trivet.host.inotify import Watcher
from trivet.run import log_index
from trivet.run.supervisor.loop import Loop, guarded

_INTERVAL_S = 0.05


class LogTimes:
    """Watches the logs it is told of; costs nothing while nobody writes. `on_growth` is told of a log and its size."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._watcher = Watcher()
        self._sizes: dict[Path, int] = {}
        self._waiting: dict[int, Path] = {}
        self.on_growth: Callable[[Path, int], None] | None = None
        loop.watch(self._watcher.fileno(), self._on_change)

    def follow(self, log: Path) -> None:
        """The log's growth is recorded from now on; what came before counts as written now, if nobody recorded it."""
        if log not in self._sizes:
            self._sizes[log] = -1
            self._look(log)

    def forget(self, log: Path) -> None:
        """The log is no longer followed."""
        self._sizes.pop(log, None)

    def _on_change(self) -> None:
        for number in self._watcher.changed():
            if (log := self._waiting.pop(number, None)) is not None and self._record(log):
                self._loop.after(_INTERVAL_S, partial(self._look, log))

    def _look(self, log: Path) -> None:
        """Armed before the size is read, so that no write falls between."""
        if log not in self._sizes:
            return
        try:
            self._waiting[self._watcher.watch_next(log)] = log
        except OSError:  # removed, or the user's inotify watches are used up: its lines have no time, no more
            self._sizes.pop(log, None)
            return
        self._record(log)

    def _record(self, log: Path) -> bool:
        known = self._sizes.get(log)
        if known is None:
            return False
        try:
            size = log.stat().st_size
        except OSError:
            return False
        if size != known and size:
            if self.on_growth is not None:
                guarded(partial(self.on_growth, log, size))
            with contextlib.suppress(OSError):  # the disk is full: the next row counts for this one too
                log_index.append(log, size)
                self._sizes[log] = size
        return True
