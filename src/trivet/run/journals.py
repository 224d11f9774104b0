"""The journals of many deploys, read on as their lines are written, whatever becomes of the files.

It waits for the kernel to tell of a change (inotify) and asks nobody: a supervisor that dies, or is started anew, makes no
difference, and apps and deploys that come later are found.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from trivet.host.clock import now
from trivet.host.files import refused
from trivet.host.inotify import Watcher
from trivet.model.event import Event, EventKind, Told
from trivet.model.home import Home
from trivet.model.names import AppName, Deploy, DeployName
from trivet.run.events import journal_path, parse_lines, put_aside


class Journals:
    """Tells every event of the chosen deploys once: those of the past the first time, then what is new. Close it."""

    def __init__(self, home: Home, is_chosen: Callable[[Deploy], bool]) -> None:
        """Raises: MachineError: the machine lets us watch no more files."""
        self._home = home
        self._is_chosen = is_chosen
        self._tails: dict[Deploy, tuple[Tail, Tail]] = {}
        self._quiet: set[int] = set()  # folders with nothing in them but journals
        try:
            self._watcher = Watcher()
        except OSError as error:
            raise refused(error, "watch files") from error
        self._look_around()

    def fileno(self) -> int:
        """Readable when there may be news."""
        return self._watcher.fileno()

    def skip(self) -> None:
        """What has happened so far is no news. Call it before `news`."""
        for tail in self._all():
            tail.skip()

    def news(self) -> tuple[Told, ...]:
        """What was told since the last time, in order of time; never waits. Raises: MachineError."""
        if set(self._watcher.changed()) - self._quiet:
            self._look_around()
        told = [Told(tail.deploy, event) for tail in self._all() for event in tail.news()]
        return tuple(sorted(told, key=lambda each: each.event.at))

    def close(self) -> None:
        """Nothing is watched any more."""
        self._watcher.close()
        for tail in self._all():
            tail.close()

    def _all(self) -> Iterator["Tail"]:
        return (tail for tails in self._tails.values() for tail in tails)

    def _look_around(self) -> None:
        """Every folder is watched that journals lie in, or may come to lie in."""
        known: frozenset[Deploy] | None = None
        while known != (found := frozenset(self._watch_all())):  # again: what came before its folder was watched
            known = found
        for deploy in found - self._tails.keys():
            self._tails[deploy] = (self._tail(deploy, of_processes=True), self._tail(deploy, of_processes=False))
        for deploy in self._tails.keys() - found:
            for tail in self._tails.pop(deploy):
                tail.close()

    def _tail(self, deploy: Deploy, *, of_processes: bool) -> "Tail":
        return Tail(deploy, journal_path(self._home, deploy, of_processes=of_processes))

    def _watch_all(self) -> Iterator[Deploy]:
        home = self._home
        if not home.apps.is_dir():
            self._watch(home.root if home.root.is_dir() else home.root.parent)
        self._watch(home.apps)
        for app in map(AppName, _names(home.apps)):
            self._watch(home.apps / app)
            self._watch(home.deploys(app))
            for deploy in (Deploy(app, DeployName(name)) for name in _names(home.deploys(app))):
                if self._is_chosen(deploy):
                    self._watch(home.deploy(deploy))
                    self._watch(home.run(deploy))
                    self._quiet |= self._watch(journal_path(home, deploy, of_processes=True).parent)
                    yield deploy

    def _watch(self, path: Path) -> set[int]:
        try:
            return {self._watcher.watch_folder(path)}
        except (FileNotFoundError, NotADirectoryError):
            return set()  # its parent is watched, and tells when it comes
        except OSError as error:
            raise refused(error, f"watch {path}") from error


class Tail:
    """One journal, read from its beginning through every file that takes the place of the one before."""

    def __init__(self, deploy: Deploy, path: Path) -> None:
        self.deploy = deploy
        self._path = path
        self._file = _open(put_aside(path))
        self._rest = b""

    def skip(self) -> None:
        """What is written so far is no news."""
        self.close()
        self._file = _open(self._path)
        data = b"" if self._file is None else self._file.read()
        self._rest = data[data.rfind(b"\n") + 1 :]

    def news(self) -> Iterator[Event]:
        """What was written since. Raises: MachineError."""
        try:
            yield from self._read()
            while self._is_followed():
                yield from self._go_on()
        except OSError as error:
            raise refused(error, f"read {self._path}") from error

    def close(self) -> None:
        """No file is open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self) -> Iterator[Event]:
        if self._file is None:
            return
        data = self._rest + self._file.read()
        end = data.rfind(b"\n") + 1
        self._rest = data[end:]
        yield from parse_lines(data[:end], self._path, now())

    def _is_followed(self) -> bool:
        """Whether another file has taken the place of ours."""
        try:
            present = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return self._file is None or not os.path.samestat(present, os.fstat(self._file.fileno()))

    def _go_on(self) -> Iterator[Event]:
        """Ours is read to its end, then the one that was full before we came to it, if there is one; then the present one."""
        yield from self._read()
        between = _open(put_aside(self._path)) if self._file is not None else None
        if between is not None:
            with between:
                if not self._is_ours(between):
                    lost = f"events may be missing: run/events/{self._path.name} was filled faster than it was read"
                    yield Event(now(), EventKind.LOST, how=lost)
                    yield from parse_lines(between.read(), self._path, now())
        self.close()
        self._file, self._rest = _open(self._path), b""
        yield from self._read()

    def _is_ours(self, file: BinaryIO) -> bool:
        return self._file is not None and os.path.sameopenfile(file.fileno(), self._file.fileno())


def _open(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        return None


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
