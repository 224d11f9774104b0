"""Log lines of several processes, merged in order of time."""

import heapq
import select
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from trivet.errors import TrivetError, UnknownProcess, UnknownRelease
from trivet.host.clock import seconds_of, timestamp
from trivet.host.inotify import Watcher
from trivet.model.home import Home
from trivet.model.logs import LogChoice, LogLine
from trivet.model.names import Deploy
from trivet.run.log_files import LogFile, list_logs
from trivet.run.log_index import LogIndex
from trivet.run.log_reader import LogReader, Placed
from trivet.run.released import current_release, read_release

_UNTOLD_S = 1.0  # a change that inotify does not tell (a network file system) is seen after this at the latest
_MOST_LINES = 10_000_000


def read_lines(home: Home, deploy: Deploy, choice: LogChoice, *, follow: bool) -> Iterator[LogLine]:
    """The lines that are chosen, then, if asked, those to come.

    Raises: UnknownProcess, for a name that neither a log nor the present release knows; UnknownRelease, without a log.
    """
    _check_known(home, deploy, choice)
    return _read_lines(home, deploy, choice, follow=follow)


def _read_lines(home: Home, deploy: Deploy, choice: LogChoice, *, follow: bool) -> Iterator[LogLine]:
    tails = {log.path: Tail(log, choice) for log in _chosen(home, deploy, choice)}
    with ExitStack() as opened:
        yield from _present(tuple(tails.values()), choice.lines, opened)
    if follow:
        yield from _follow(home, deploy, choice, tails)


def _present(tails: tuple["Tail", ...], count: int | None, opened: ExitStack) -> Iterator[LogLine]:
    for tail in tails:
        tail.open(opened)
    if count is None:
        yield from heapq.merge(*(tail.lines() for tail in tails), key=_time)
        return
    # The last of each are merged backwards: no more is read than is shown.
    back = heapq.merge(*(tail.lines_back() for tail in reversed(tails)), key=_time, reverse=True)
    yield from reversed(list(islice(back, min(count, _MOST_LINES))))


def _follow(home: Home, deploy: Deploy, choice: LogChoice, tails: dict[Path, "Tail"]) -> Iterator[LogLine]:
    folder = home.run(deploy) / "logs"
    watcher = Watcher()
    try:
        watcher.watch_folder(folder)
        while True:
            for log in _chosen(home, deploy, choice):
                tails.setdefault(log.path, Tail(log, choice))
            with ExitStack() as opened:
                yield from heapq.merge(*(tail.news(opened) for tail in tails.values()), key=_time)
            select.select([watcher.fileno()], [], [], _UNTOLD_S)
            watcher.changed()
    finally:
        watcher.close()


def _time(line: LogLine) -> str:
    return line.at


def _check_known(home: Home, deploy: Deploy, choice: LogChoice) -> None:
    logs = list_logs(home, deploy)
    written = {log.process for log in logs}
    types = {process.rpartition(".")[0] for process in written} | _present_types(home, deploy)
    for name in choice.processes:
        if name not in written and name not in types and name.rpartition(".")[0] not in types:
            known = ", ".join(sorted(types)) or "none"
            raise UnknownProcess(f"{deploy} has no process {name!r}.", hint=f"Its process types: {known}.")
    releases = sorted({log.release for log in logs})
    if choice.release is not None and choice.release not in releases:
        known = ", ".join(f"v{number}" for number in releases) or "none"
        raise UnknownRelease(f"{deploy} has no logs of v{choice.release}.", hint=f"It has those of: {known}.")


def _present_types(home: Home, deploy: Deploy) -> set[str]:
    """Those of the release that runs; they may never have run. None if it cannot be read."""
    try:
        number = current_release(home, deploy)
        return {kind.name for kind in read_release(home, deploy, number).processes} if number is not None else set()
    except TrivetError:
        return set()


def _chosen(home: Home, deploy: Deploy, choice: LogChoice) -> tuple[LogFile, ...]:
    return tuple(
        log for log in list_logs(home, deploy) if choice.names(log.process) and choice.release in (None, log.release)
    )


class Tail:
    """One log: what is chosen of what it holds, then what comes."""

    def __init__(self, log: LogFile, choice: LogChoice) -> None:
        self._log = log
        self._since = seconds_of(choice.since) if choice.since is not None else None
        self._until = seconds_of(choice.until) if choice.until is not None else None
        self._text = choice.text
        self._offset = 0  # of what is yet to be told
        self._told = (0.0, "")
        self._reader: LogReader | None = None
        self._index: LogIndex | None = None

    def open(self, opened: ExitStack) -> None:
        """The log as it is now is read until the stack is closed, and counts as told. One that is gone is empty."""
        self._reader = None
        try:
            self._reader = opened.enter_context(LogReader(self._log.path))
        except FileNotFoundError:
            return
        self._index = opened.enter_context(LogIndex(self._log.path, self._reader.written_at))
        self._offset = self._reader.end

    def lines(self) -> Iterator[LogLine]:
        """The lines, first one first."""
        if self._reader is not None and self._index is not None:
            start = 0 if self._since is None else self._index.first_since(self._since)
            yield from self._told_of(self._reader.lines(self._reader.begin_of_line(start), self._last(self._reader)))

    def lines_back(self) -> Iterator[LogLine]:
        """The lines, last one first."""
        if self._reader is not None and self._index is not None:
            start = 0 if self._since is None else self._index.first_since(self._since)
            first = self._reader.begin_of_line(start)
            yield from self._told_of(self._reader.lines_back(first, self._last(self._reader)))

    def news(self, opened: ExitStack) -> Iterator[LogLine]:
        """The lines that were written since."""
        try:
            size = self._log.path.stat().st_size
        except FileNotFoundError:
            return
        offset = self._offset if size >= self._offset else 0  # somebody has emptied it
        if size == offset:
            return
        self.open(opened)
        if self._reader is not None:
            yield from self._told_of(self._reader.lines(max(offset, self._reader.start), self._reader.end))

    def _last(self, reader: LogReader) -> int:
        """Where what is chosen ends."""
        if self._until is None or self._index is None:
            return reader.end
        return min(reader.end, reader.begin_of_line(self._index.first_after(self._until)))

    def _told_of(self, lines: Iterator[Placed]) -> Iterator[LogLine]:
        for offset, raw in lines:
            text = raw.rstrip(b"\r\n").decode(errors="replace")
            if self._text is None or self._text in text:
                yield LogLine(self._at(offset), self._log.process, self._log.release, text)

    def _at(self, offset: int) -> str:
        at = self._index.at(offset) if self._index is not None else time.time()
        if at != self._told[0]:
            self._told = (at, timestamp(at))
        return self._told[1]
