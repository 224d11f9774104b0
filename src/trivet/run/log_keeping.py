"""Which logs of a deploy are kept, and how much of them: by release, by age, by what all of them take.

A log that somebody may still write to is never removed, only cut: its front is given back to the disk. So no line is lost that
was not to go, and a log may be read and written meanwhile.
"""

import contextlib
from collections.abc import Iterable, Set
from pathlib import Path

from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.run.log_files import KEPT_RELEASES, LogFile, cut_log, list_logs, remove_log
from trivet.run.log_index import LogIndex, index_path
from trivet.run.log_limits import LogLimits

LEAST_BYTES = 64 * 1024  # of a log that is shortened to make room
_LITTLE_BYTES = 16 * 1024
_BLOCK_BYTES = 512  # of st_blocks


@frozen
class Keeping:
    """What is kept of a deploy's logs. `written` are those that somebody may still write to."""

    limits: LogLimits
    written: Set[Path]

    def tidy(self, home: Home, deploy: Deploy, now_s: float) -> tuple[Path, ...]:
        """Only what is to be kept takes room; the logs that were removed."""
        logs = list_logs(home, deploy)
        releases = sorted({log.release for log in logs})[-KEPT_RELEASES:]
        gone = [log for log in logs if log.path not in self.written and self._is_over(log, releases, now_s)]
        kept = [log for log in logs if log not in gone]
        for log in kept:
            self._cut_old(log.path, now_s)
            shorten(log.path, self.limits.size_bytes)
        gone.extend(self._over_total(kept))
        for log in gone:
            remove_log(log.path)
        self._share([log.path for log in kept if log not in gone])
        return tuple(log.path for log in gone)

    def _is_over(self, log: LogFile, releases: Iterable[int], now_s: float) -> bool:
        return log.release not in releases or _written_at(log.path) < now_s - self.limits.age_s

    def _cut_old(self, log: Path, now_s: float) -> None:
        with contextlib.suppress(OSError), LogIndex(log, _written_at(log)) as index:
            if old := index.first_since(now_s - self.limits.age_s):
                cut_log(log, old)

    def _over_total(self, logs: Iterable[LogFile]) -> list[LogFile]:
        """The oldest logs that are too much together with the newer ones."""
        left, gone = self.limits.total_bytes, []
        for log in sorted(logs, key=lambda each: (each.path in self.written, each.release), reverse=True):
            left -= room(log.path)
            if left < 0 and log.path not in self.written:
                gone.append(log)
        return gone

    def _share(self, logs: list[Path]) -> None:
        """Those that may still be written to are cut to equal shares if they take too much all by themselves."""
        if sum(map(room, logs)) > self.limits.total_bytes:
            for log in logs:
                shorten(log, self.limits.total_bytes // len(logs))


def shorten(log: Path, most_bytes: int) -> bool:
    """The log and its index take no more than this, to a few blocks. False: this file system cannot do that."""
    try:
        index_bytes = _takes(index_path(log))
        if _takes(log) + index_bytes <= most_bytes:
            return True
        offset = log.stat().st_size - most_bytes + min(index_bytes, most_bytes // 2)
        if index_bytes > max(most_bytes // 2, _LITTLE_BYTES):  # a row for each line, and the lines are short
            with LogIndex(log, 0.0) as index:
                offset = max(offset, index.middle())
        return offset <= 0 or cut_log(log, offset)
    except OSError:  # it is gone, or the disk refuses: what is not given back now is given back later
        return True


def room(log: Path) -> int:
    """How many bytes the log and its index take on the disk."""
    return _takes(log) + _takes(index_path(log))


def _takes(path: Path) -> int:
    try:
        return path.stat().st_blocks * _BLOCK_BYTES
    except OSError:
        return 0


def _written_at(log: Path) -> float:
    try:
        return log.stat().st_mtime
    except OSError:
        return 0.0
