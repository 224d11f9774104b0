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
