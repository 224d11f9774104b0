"""Run plan: what is to run of one release, made once, as plain data; engines carry it out."""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.process import HealthCheck, Limits


@frozen
class ProcessPlan:
    """One process. `argv` starts with an absolute path.

    `environment` is shared by all processes of the release; the engine adds what it decides at each start
    (`PORT`, `TMPDIR`, `HOME`) and `TRIVET_PROCESS`. `ends_as_group`: SIGTERM goes to the whole group, because the main
    process is a shell that would keep it from the program. `reads` is what its code consists of. The rest is as in
    `model.process.ProcessType`.
    """

    name: str
    argv: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(repr=False)
    has_port: bool = False
    health: str | None = None
    timeout_s: float = 60.0
    settle_s: float | None = None
    grace_s: float = 30.0
    ends_as_group: bool = False
    reads: tuple[Path, ...] = ()
    check: HealthCheck = field(default_factory=HealthCheck)
    limits: Limits = field(default_factory=Limits)
    warm_s: float | None = None
    overlaps: bool = True
    inherits: bool = False


@frozen
class RunPlan:
    """All processes that are to run of a release, in the order of the Procfile."""

    deploy: Deploy
    release: int
    processes: tuple[ProcessPlan, ...]

    @property
    def has_ports(self) -> bool:
        return any(process.has_port for process in self.processes)
