"""Load: what processes use of the machine, and what comes in at the front door, over a short time."""

from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.run import ProcessStatus


@frozen
class Usage:
    """What a process and all that it has started have used so far: CPU time, also of what has ended; and use now.

    Memory is what their control group counts, or else what is resident; pages that several of them share then count for
    each. `open_files` is None if nobody may tell. `counted_by` is another number if the CPU time is of another count, which
    may have begun before this process; 0: it is the processes' own.
    """

    cpu_s: float = 0.0
    memory_bytes: int = 0
    processes: int = 0
    open_files: int | None = None
    counted_by: int = 0


@frozen
class ProcessLoad:
    """A process. `cpu_percent` is of one core; None: it does not run. The door's figures are None for what has no port."""

    status: ProcessStatus
    cpu_percent: float | None
    memory_bytes: int | None
    requests_per_s: float | None
    in_flight: int | None


@frozen
class DeployLoad:
    """What comes in at a deploy's door. `held`: requests that wait for a process; `refused`: all that the door answered."""

    deploy: Deploy
    connections: int
    requests_per_s: float
    in_flight: int
    held: int
    refused: int


@frozen
class Load:
    """All of it, at a moment (ISO 8601 in UTC), over the seconds before."""

    at: str
    over_s: float
    deploys: tuple[DeployLoad, ...]
    processes: tuple[ProcessLoad, ...]
