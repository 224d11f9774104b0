"""Log lines of several processes, merged in order of time."""

import heapq
import os
import select
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trivet.errors import TrivetError, UnknownProcess
from trivet.host.clock import timestamp
from trivet.host.inotify import Watcher
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.run.log_files import LogFile, list_logs
from trivet.run.log_index import LogIndex, read_index
from trivet.run.released import current_release, read_release

_BLOCK_BYTES = 65536
_MOST_LINES = 10_000_000
_UNTOLD_S = 1.0  # a change that inotify does not tell (a network file system) is seen after this at the latest


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a process wrote; `at` is ISO 8601 in UTC, as exactly as is known (about 50 ms)."""

    at: str
    process: str
    release: int
    text: str


def read_lines(
    home: Home, deploy: Deploy, processes: tuple[str, ...], lines: int | None, *, follow: bool
) -> Iterator[LogLine]:
    """The last lines (None: all) of these processes or types (none named: all), then, if asked, those to come.

    Raises: UnknownProcess, for a name that neither a log nor the present release knows.
    """
    _check_named(home, deploy, processes)
    bounded = None if lines is None else min(lines, _MOST_LINES)
    return _read_lines(home, deploy, processes, bounded, follow=follow)


def _read_lines(
    home: Home, deploy: Deploy, processes: tuple[str, ...], lines: int | None, *, follow: bool
) -> Iterator[LogLine]:
    tails = {log.path: Tail(log) for log in _chosen(home, deploy, processes)}
    merged: Iterable[LogLine] = heapq.merge(*(tail.last(lines) for tail in tails.values()), key=lambda line: line.at)
    yield from merged if lines is None else deque(merged, maxlen=lines)
    if follow:
        yield from _follow(home, deploy, processes, tails)


def _follow(home: Home, deploy: Deploy, processes: tuple[str, ...], tails: dict[Path, "Tail"]) -> Iterator[LogLine]:
    folder = home.run(deploy) / "logs"
    watcher = Watcher()
    try:
        watcher.watch_folder(folder)
        while True:
            for log in _chosen(home, deploy, processes):
                tails.setdefault(log.path, Tail(log))
            yield from sorted((line for tail in tails.values() for line in tail.news()), key=lambda line: line.at)
            select.select([watcher.fileno()], [], [], _UNTOLD_S)
            watcher.changed()
    finally:
        watcher.close()


def _check_named(home: Home, deploy: Deploy, names: tuple[str, ...]) -> None:
    written = {log.process for log in list_logs(home, deploy)}
    types = {process.rpartition(".")[0] for process in written} | _present_types(home, deploy)
    for name in names:
        if name not in written and name not in types and name.rpartition(".")[0] not in types:
            known = ", ".join(sorted(types)) or "none"
            raise UnknownProcess(f"{deploy} has no process {name!r}.", hint=f"Its process types: {known}.")


def _present_types(home: Home, deploy: Deploy) -> set[str]:
    """Those of the release that runs; they may never have run. None if it cannot be read."""
    try:
        number = current_release(home, deploy)
        return {kind.name for kind in read_release(home, deploy, number).processes} if number is not None else set()
    except TrivetError:
        return set()


def _chosen(home: Home, deploy: Deploy, processes: tuple[str, ...]) -> tuple[LogFile, ...]:
    return tuple(log for log in list_logs(home, deploy) if not processes or _is_named(log.process, processes))


def _is_named(process: str, names: tuple[str, ...]) -> bool:
    return process in names or process.rpartition(".")[0] in names


class Tail:
    """One log, read from near its end and then onwards. A line counts once its newline is there."""

    def __init__(self, log: LogFile) -> None:
        self._log = log
        self._offset = 0

    def last(self, count: int | None) -> list[LogLine]:
        """The last lines (None: all)."""
        with self._log.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            index = read_index(self._log.path, os.fstat(file.fileno()).st_mtime)
            start = 0 if count is None else _start_of_last(self._log.path, size, count)
            file.seek(start)
            data = file.read(size - start)
        self._offset = start
        return self._lines(data, index)

    def news(self) -> list[LogLine]:
        """The lines that were written since."""
        try:
            with self._log.path.open("rb") as file:
                if os.fstat(file.fileno()).st_size <= self._offset:
                    return []
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        return self._lines(data, read_index(self._log.path, time.time()))

    def _lines(self, data: bytes, index: LogIndex) -> list[LogLine]:
        lines: list[LogLine] = []
        for raw in data.splitlines(keepends=True):
            if not raw.endswith(b"\n"):
                break
            at = timestamp(index.at(self._offset))
            text = raw.rstrip(b"\r\n").decode(errors="replace")
            lines.append(LogLine(at, self._log.process, self._log.release, text))
            self._offset += len(raw)
        return lines


def _start_of_last(path: Path, size: int, count: int) -> int:
    """The offset at which the last lines begin."""
    with path.open("rb") as file:
        position, data = size, b""
        while position > 0 and data.count(b"\n") <= count:
            step = min(_BLOCK_BYTES, position)
            position -= step
            file.seek(position)
            data = file.read(step) + data
    place = len(data)
    for _ in range(count + 1):
        place = data.rfind(b"\n", 0, place)
        if place < 0:
            return position
    return position + place + 1
