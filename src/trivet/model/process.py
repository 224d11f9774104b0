"""Process types: what an app consists of when it runs."""

from collections.abc import Iterable, Mapping

from trivet.model.frozen import frozen
from trivet.model.names import RELEASE_PROCESS, WEB_PROCESS

_SETTINGS = {"pids": "processes"}


@frozen
class HealthCheck:
    """How the health path is asked: `status` must come (None: any 2xx or 3xx), within `timeout_s`, each `interval_s`.

    None: what the run stage does by itself.
    """

    status: int | None = None
    interval_s: float | None = None
    timeout_s: float | None = None


@frozen
class Limits:
    """What one process and all that it starts may use together; None: as much as there is.

    `cpus` are cores (0.5 is half of one), `processes` processes and threads. `files` are open files, of each by itself.
    """

    memory_bytes: int | None = None
    cpus: float | None = None
    files: int | None = None
    processes: int | None = None

    @property
    def controllers(self) -> Mapping[str, str]:
        """The kernel's controllers of processes that are needed for those that are set, with their names in trivet.toml."""
        values = (("memory", self.memory_bytes), ("cpu", self.cpus), ("pids", self.processes))
        return {name: _SETTINGS.get(name, name) for name, value in values if value is not None}

    @property
    def memory(self) -> str:
        """The limit of memory as people write it: "512 MB", "512 MiB"."""
        size = self.memory_bytes or 0
        units = (("GB", 10**9), ("GiB", 2**30), ("MB", 10**6), ("MiB", 2**20), ("kB", 1000), ("KiB", 1024), ("B", 1))
        return next(f"{size // length} {unit}" for unit, length in units if size % length == 0)


@frozen
class ProcessType:
    """A name and a shell command from the Procfile, with how the run stage is to treat its processes.

    `health` is a path that must answer 2xx or 3xx (None: any answer below 500 on "/" will do; only `web` has a port);
    `check` says more of how it is asked. `timeout_s` is how long a process may take to become ready, `settle_s` how long
    it must stay up (None: 1 s without a port; with one, until it has answered twice), `grace_s` how long it may take to
    end after SIGTERM before SIGKILL. `warm_s` is how long the old release is kept after the switch, to go back to (None:
    as the machine says). Unless it `overlaps`, the old process ends before the new one starts. One that `inherits` is
    given the deploy's listening socket.
    """

    name: str
    command: str
    health: str | None = None
    timeout_s: float = 60.0
    settle_s: float | None = None
    grace_s: float = 30.0
    check: HealthCheck = HealthCheck()
    limits: Limits = Limits()
    warm_s: float | None = None
    overlaps: bool = True
    inherits: bool = False

    @property
    def has_port(self) -> bool:
        return self.name == WEB_PROCESS


def find_process_type(types: Iterable[ProcessType], name: str) -> ProcessType | None:
    """The process type of this name, if there is one."""
    return next((process for process in types if process.name == name), None)


def runnable(types: Iterable[ProcessType]) -> tuple[ProcessType, ...]:
    """The process types a formation may hold: all but `release`."""
    return tuple(process for process in types if process.name != RELEASE_PROCESS)


@frozen
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
