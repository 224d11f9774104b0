"""Process types: what an app consists of when it runs."""

from collections.abc import Iterable
from dataclasses import dataclass

from trivet.model.names import RELEASE_PROCESS, WEB_PROCESS


@dataclass(frozen=True, slots=True)
class ProcessType:
    """A name and a shell command from the Procfile, with how the run stage is to treat its processes.

    `health` is a path that must answer 2xx or 3xx (None: any answer below 500 on "/" will do; only `web` has a port).
    `timeout_s` is how long a process may take to become ready, `settle_s` how long one without a port must stay up,
    `grace_s` how long it may take to end after SIGTERM before SIGKILL.
    """

    name: str
    command: str
    health: str | None = None
    timeout_s: float = 60.0
    settle_s: float = 1.0
    grace_s: float = 30.0

    @property
    def has_port(self) -> bool:
        return self.name == WEB_PROCESS


def find_process_type(types: Iterable[ProcessType], name: str) -> ProcessType | None:
    """The process type of this name, if there is one."""
    return next((process for process in types if process.name == name), None)


def runnable(types: Iterable[ProcessType]) -> tuple[ProcessType, ...]:
    """The process types a formation may hold: all but `release`."""
    return tuple(process for process in types if process.name != RELEASE_PROCESS)


@dataclass(frozen=True, slots=True)
class ProcessChange:
    """A process type that differs: `old` is None if it was added, `new` if it was removed."""

    name: str
    old: ProcessType | None
    new: ProcessType | None

    @property
    def lines(self) -> tuple[str, ...]:
        """As in a diff, with the commands: `- web: …`, `+ web: …`, `~ web: …` if only its settings differ."""
        if self.old and self.new and self.old.command == self.new.command:
            return (f"~ {self.name}: {self.new.command} (its settings in trivet.toml differ)",)
        sides = (("-", self.old), ("+", self.new))
        return tuple(f"{mark} {self.name}: {process.command}" for mark, process in sides if process)


def compare_processes(old: tuple[ProcessType, ...], new: tuple[ProcessType, ...]) -> tuple[ProcessChange, ...]:
    """Those that differ, in the order of the new release; then those that are gone."""
    names = dict.fromkeys(process.name for process in (*new, *old))
    changes = (ProcessChange(name, find_process_type(old, name), find_process_type(new, name)) for name in names)
    return tuple(change for change in changes if change.old != change.new)
