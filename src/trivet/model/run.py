"""What the run stage says of itself: processes, events of a roll-out, and how it ended."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.process import Limits


class ProcessState(StrEnum):
    """STARTING: not ready yet. RUNNING. STOPPING: told to end. BACKOFF: crashed, waits for its next start."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    BACKOFF = "crashed"


@frozen
class ProcessStatus:
    """One line of `trivet ps`. `since` is ISO 8601 in UTC; `pid`, `memory_bytes` are None while there is no process.

    `restarts` counts the starts after a crash within this release; `last_exit` says how it ended last
    ("exit 1", "SIGKILL").
    """

    deploy: Deploy
    release: int
    process: str
    state: ProcessState
    pid: int | None
    port: int | None
    since: str
    restarts: int
    memory_bytes: int | None
    last_exit: str | None


@frozen
class Means:
    """What a machine holds processes with: the version of its control groups, where there are any that can be written.

    `killing`: with it a process ends with all that it started, as one (None: without). `controllers`: by their names, of
    memory, cpu and pids.
    """

    killing: int | None = None
    controllers: Mapping[str, int] = field(default_factory=dict)

    def unheld(self, limits: Limits) -> tuple[str, ...]:
        """The limits that nothing enforces, by their names in trivet.toml."""
        return tuple(name for controller, name in limits.controllers.items() if controller not in self.controllers)


@frozen
class Address:
    """Where a deploy is reached, kept across releases.

    `proxy_protocol`: each connection begins by saying whose it is. It is no part of what makes two addresses the same.
    """

    host: str
    port: int
    proxy_protocol: bool = field(default=False, compare=False)

    def is_exactly(self, other: "Address | None") -> bool:
        """Whether the other is the same in all."""
        return other is not None and self == other and self.proxy_protocol == other.proxy_protocol

    @property
    def url(self) -> str:
        shown = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{self.port}"


@frozen
class Drain:
    """What became of the requests and connections that processes had in flight when they were to leave.

    `drained` ended by themselves; `cut` were cut off when the grace was over, or by the end of their process.
    """

    drained: int = 0
    cut: int = 0

    def __add__(self, other: "Drain") -> "Drain":
        return Drain(self.drained + other.drained, self.cut + other.cut)


@frozen
class Failure:
    """Why a change of what runs was undone, or a release that was watched is no good.

    `process` is the one that failed, if it was one; `output` its last lines.
    """

    reason: str
    process: str | None = None
    output: tuple[str, ...] = ()


@frozen
class Serving:
    """The process that holds the listening socket on the port of this one: itself, or one that it has started.

    `by_socket`: on its Unix socket, and the port is no more than a name.
    """

    process: str
    pid: int
    port: int
    by_socket: bool = False

    @property
    def place(self) -> str:
        """Where it listens, in words."""
        return "its Unix socket" if self.by_socket else f"port {self.port}"


@frozen
class Proof:
    """What was found after a switch: who answers on the ports that requests go to, all of the new release; and the pids
    that were `left` of others (none, unless one hides from the kernel's signals).
    """

    serving: tuple[Serving, ...]
    left: tuple[int, ...] = ()


@frozen
class RollOut:
    """How a roll-out ended: kept in run/rollouts/v12.json, and what the client is told.

    `succeeded` is False if anything of the new release failed: then `reason` says what, `process` which, and
    `output` holds its last lines; the release before serves. `timings_s` has, from the beginning, ready, shifted, watched,
    drained and stopped, as far as it came; `connections` counts what the old processes had in flight when it shifted.
    `proof` says what answers (None: it was interrupted, or did not come to it).
    """

    deploy: Deploy
    release: int
    succeeded: bool
    reason: str = ""
    process: str | None = None
    output: tuple[str, ...] = ()
    address: Address | None = None
    timings_s: Mapping[str, float] | None = None
    connections: Drain | None = None
    proof: Proof | None = None
