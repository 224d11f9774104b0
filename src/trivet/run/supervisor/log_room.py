"""Keeps the room that logs take within its limits, and what it can of a disk that runs low."""

import contextlib
import sys
import time
from collections.abc import Callable, Set
from pathlib import Path

from trivet.host import space
from trivet.host.reserve import Reserve
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.run import desired
from trivet.run.log_files import list_logs
from trivet.run.log_keeping import LEAST_BYTES, Keeping, room, shorten
from trivet.run.log_limits import LogLimits
from trivet.run.supervisor.log_times import LogTimes
from trivet.run.supervisor.loop import Loop

_LOOK_EVERY_S = 10.0
_MAKE_ROOM_EVERY_S = 0.1
_TIDY_EVERY_S = 3600.0
_KEPT_PARTS, _PARTS = 7, 8  # of its limit, when a log has passed it: it is not cut at every line that follows
_TIDY_AFTER_PARTS = 16  # of a deploy's limit


def _nobody() -> Set[Path]:
    return frozenset()


class LogRoom:
    """Looks at a log when it grows, at the disk then and every ten seconds, at age and sum of all logs every hour.

    `written` tells which logs somebody may still write to. `reserve` is what is given up when the disk is full; it is
    filled again when there is room.
    """

    def __init__(self, home: Home, loop: Loop, times: LogTimes, limits: LogLimits) -> None:
        self._home = home
        self._loop = loop
        self._times = times
        self._limits = limits
        self._grown: dict[Path, int] = {}  # by folder of logs: since they were tidied
        self._sizes: dict[Path, int] = {}
        self._is_low = False
        self._is_told = False
        self._made_room = 0.0
        self._tidied = time.monotonic()
        self._began_s = time.time() - time.monotonic()
        self.reserve = Reserve(home.reserve)
        self.written: Callable[[], Set[Path]] = _nobody
        times.on_growth = self._on_growth
        loop.soon(self._look)

    def follow(self, log: Path) -> None:
        """Somebody writes to the log from now on."""
        self._times.follow(log)

    def tidy(self, deploy: Deploy) -> None:
        """Of the deploy's logs only what is to be kept takes room."""
        keeping = Keeping(self._limits, self.written())
        for path in keeping.tidy(self._home, deploy, self._now_s()):
            self._times.forget(path)
            self._sizes.pop(path, None)

    def _now_s(self) -> float:
        """The time, as if the clock had never been set since the supervisor began: nothing grows old by a jump."""
        return self._began_s + time.monotonic()

    def _on_growth(self, log: Path, size: int) -> None:
        grown = size - self._sizes.get(log, size)
        self._sizes[log] = size
        if space.is_low(self._home.root):
            self._make_room()
        if size > self._limits.size_bytes and room(log) > self._limits.size_bytes:
            self._shorten(log, self._limits.size_bytes * _KEPT_PARTS // _PARTS)
        self._grown[log.parent] = self._grown.get(log.parent, 0) + max(0, grown)
        if self._grown[log.parent] > self._limits.total_bytes // _TIDY_AFTER_PARTS:
            self._grown[log.parent] = 0
            self._loop.soon(self._tidy_all)

    def _look(self) -> None:
        self._loop.after(_LOOK_EVERY_S, self._look)
        if space.is_low(self._home.root):
            self._make_room()
        else:
            self._is_low = False
            self.reserve.fill()
        if time.monotonic() >= self._tidied + _TIDY_EVERY_S:
            self._tidied = time.monotonic()
            self._tidy_all()

    def _tidy_all(self) -> None:
        for deploy in desired.find_deploys(self._home):
            self.tidy(deploy)

    def _make_room(self) -> None:
        """Every log gives half of what it takes, each time that the disk is found low."""
        if time.monotonic() < self._made_room + _MAKE_ROOM_EVERY_S:
            return
        self._made_room = time.monotonic()
        if not self._is_low:
            self._is_low = True
            with contextlib.suppress(OSError):  # it may well be the same disk
                sys.stderr.write("trivet: the disk is nearly full: logs are shortened until it is not\n")
        for deploy in desired.find_deploys(self._home):
            for log in list_logs(self._home, deploy):
                self._shorten(log.path, max(LEAST_BYTES, room(log.path) // 2))

    def _shorten(self, log: Path, most_bytes: int) -> None:
        if not shorten(log, most_bytes) and not self._is_told:
            self._is_told = True
            sys.stderr.write("trivet: this file system cannot give back a part of a file: logs are not shortened\n")
