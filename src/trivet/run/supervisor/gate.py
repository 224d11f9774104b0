"""The gate of a new process: when it counts as ready, and what it is told it failed for.

A `web` process must answer on its port or its Unix socket; another must stay up for a while. That it ended is its own matter.
"""

import socket
import time
from collections.abc import Callable
from pathlib import Path

from trivet.errors import TrivetError
from trivet.host import processes
from trivet.host.sockets import is_unix_socket
from trivet.model.frozen import frozen
from trivet.model.run_plan import ProcessPlan
from trivet.run.plan import socket_path
from trivet.run.supervisor import proof
from trivet.run.supervisor.knock import Knock
from trivet.run.supervisor.loop import Alarm, Loop

_FIRST_INTERVAL_S, _LONGEST_INTERVAL_S, _GROWTH = 0.01, 0.05, 1.3  # a switch is to add at most 50 ms to the app's start
_AGAIN_S = 0.005
_ONE_PROBE_S = 10.0
_SETTLE_S = 1.0
_STATUS_LINE_BYTES = 12  # "HTTP/1.1 200"
_LOWEST_FAILURE = 500


@frozen
class Verdict:
    """What a gate tells, once: `reason` is None if the process is ready; `by_socket`: it answers on its Unix socket."""

    reason: str | None
    by_socket: bool = False


@frozen
class Candidate:
    """A process at the gate; `knock` makes the connection by which it is asked, if it is asked at all."""

    plan: ProcessPlan
    pid: int
    port: int | None
    temporary: str = ""
    knock: Knock | None = None


Listener = Callable[[Verdict], None]


def judge(path: str | None, status: int, wanted: int | None = None) -> str | None:
    """What is wrong with this answer's status; None: nothing. `path` is the health path, if there is one. Pure.

    `wanted` is the only status that will do (None: any that is good).
    """
    if path is None:
        return f"GET / answered {status}" if status >= _LOWEST_FAILURE else None
    if wanted is not None:
        return None if status == wanted else f"GET {path} answered {status}, not {wanted}"
    return None if 200 <= status < 400 else f"GET {path} answered {status}"


def judge_answer(plan: ProcessPlan, status: int) -> str | None:
    """What is wrong with what the process answered; None: nothing. Pure."""
    return judge(plan.health, status, plan.check.status)


def patience_s(plan: ProcessPlan) -> float:
    """How long one answer is waited for. Pure."""
    return plan.check.timeout_s or _ONE_PROBE_S


def settle_s(plan: ProcessPlan) -> float:
    """How long the process must stay up: without a port from its start on, with one after its first good answer. Pure."""
    if plan.settle_s is not None:
        return plan.settle_s
    return _AGAIN_S if plan.has_port else _SETTLE_S


class Gate:
    """Watches one process until it is ready or its time is over.

    One with a port must answer well, and once more: after its settling time if it has one, else right after.
    """

    def __init__(self, loop: Loop, candidate: Candidate, tell: Listener) -> None:
        self._loop = loop
        self._candidate = candidate
        self._tell = tell
        self._interval_s = candidate.plan.check.interval_s or _FIRST_INTERVAL_S
        self._trouble: str | None = None
        self._answered = False
        self._question: Question | None = None
        plan = candidate.plan
        self._deadline = time.monotonic() + plan.timeout_s
        self._alarm = loop.after(0.0 if candidate.knock is not None else settle_s(plan), self._next)

    def close(self) -> None:
        """Nothing will be told any more."""
        self._alarm.cancel()
        if self._question is not None:
            self._question.close()
            self._question = None

    def _next(self) -> None:
        candidate = self._candidate
        if candidate.knock is None:
            self._tell(Verdict(None))
        else:
            remaining_s = max(0.05, self._deadline - time.monotonic())
            patience = min(patience_s(candidate.plan), remaining_s)
            self._question = Question(self._loop, (candidate.plan, candidate.knock), patience, self._on_answer)

    def _on_answer(self, status: int | None) -> None:
        by_socket = self._question is not None and self._question.is_by_socket
        self.close()
        trouble = None if status is None else judge_answer(self._candidate.plan, status)
        is_good = status is not None and trouble is None
        if is_good and self._answered:
            self._tell(Verdict(None if by_socket else self._foreign_holder(), by_socket))
            return
        self._answered = is_good
        self._trouble = trouble or self._trouble
        if is_good:
            self._alarm = self._loop.after(settle_s(self._candidate.plan), self._next)
        elif time.monotonic() >= self._deadline:
            self._tell(Verdict(self._reason()))
        else:
            self._try_later()

    def _try_later(self) -> None:
        wait_s = min(self._interval_s, max(0.0, self._deadline - time.monotonic()))
        if self._candidate.plan.check.interval_s is None:
            self._interval_s = min(self._interval_s * _GROWTH, _LONGEST_INTERVAL_S)
        self._alarm = self._loop.after(wait_s, self._next)

    def _foreign_holder(self) -> str | None:
        plan, port = self._candidate.plan, self._candidate.port or 0
        if plan.inherits:
            return None
        holders = proof.foreign_holders(port, self._candidate.pid, self._candidate.temporary)
        if not holders:
            return None
        who = " and ".join(f"process {holder.pid} ({holder.command})" for holder in holders)
        return f"{plan.name} was given port {port} ($PORT), but {who} listens there"

    def _reason(self) -> str:
        plan, port = self._candidate.plan, self._candidate.port
        if plan.inherits:
            return self._reason_of_heir()
        within = f"within {plan.timeout_s:g} s"
        if self._trouble is not None:
            return f"{plan.name} did not become ready {within}: {self._trouble}"
        if is_unix_socket(socket_path(Path(self._candidate.temporary))):
            return f"{plan.name} listened on its Unix socket ($TRIVET_SOCKET) but did not answer {within}"
        ports = processes.listening_ports(processes.session_members(self._candidate.pid))
        if port in ports:
            return f"{plan.name} accepted connections on port {port} but did not answer {within}"
        if ports:
            others = ", ".join(map(str, ports))
            return f"{plan.name} did not answer on port {port} ($PORT) {within}; it listens on {others} instead"
        return f"{plan.name} did not answer on port {port} ($PORT) {within}; it listens on no port"

    def _reason_of_heir(self) -> str:
        plan = self._candidate.plan
        within = f"within {plan.timeout_s:g} s"
        if self._trouble is not None:
            return f"{plan.name} did not become ready {within}: {self._trouble}"
        shell = (
            "; its command keeps a shell, so that LISTEN_PID is not its own: begin it with exec"
            if plan.ends_as_group
            else ""
        )
        return (
            f"{plan.name} did not answer {within} on the socket that it inherited (descriptor 3, LISTEN_FDS=1){shell}"
        )


class Question:
    """One request for a process's health: tells the status of its answer, or None if none came in time.

    `is_overdue`: its time is over; else one that got no answer was refused, or cut off.
    """

    def __init__(
        self, loop: Loop, whom: tuple[ProcessPlan, Knock], patience: float, tell: Callable[[int | None], None]
    ) -> None:
        plan, knock = whom
        self._tell = tell
        self._probe = Probe(loop, knock, plan.health or "/", tell)
        self._alarm = loop.after(patience, self._on_time_over)
        self.is_overdue = False

    @property
    def is_by_socket(self) -> bool:
        """Whether it was asked on a Unix socket."""
        return self._probe.is_by_socket

    @property
    def port(self) -> int | None:
        """From which it was asked; None: on a Unix socket, or not at all."""
        return self._probe.port

    def close(self) -> None:
        """Nothing will be told any more."""
        self._alarm.cancel()
        self._probe.close()

    def _on_time_over(self) -> None:
        self.is_overdue = True
        self._tell(None)


class Probe:
    """One request to a process: tells the answer's status, or None if there is no HTTP answer."""

    def __init__(self, loop: Loop, knock: Knock, path: str, tell: Callable[[int | None], None]) -> None:
        self._loop = loop
        self._tell = tell
        self._request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: trivet\r\nConnection: close\r\n\r\n"
        self._answer = b""
        self._socket: socket.socket | None = None
        self._ending: Alarm | None = None
        self.is_by_socket = False
        try:
            self._socket = knock()
            self.is_by_socket = self._socket.family == socket.AF_UNIX
            loop.watch(self._socket.fileno(), self._on_connected, writable=True)
        except (OSError, TrivetError):
            self._ending = loop.after(0.0, lambda: tell(None))

    @property
    def port(self) -> int | None:
        """From which it asks; None: it asks on a Unix socket, or not at all."""
        return None if self._socket is None or self.is_by_socket else int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Nothing will be told any more."""
        if self._ending is not None:
            self._ending.cancel()
        if self._socket is not None:
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _on_connected(self) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendall(self._request.encode())
        except OSError:
            self._tell(None)
            return
        self._loop.watch(self._socket.fileno(), self._on_bytes)

    def _on_bytes(self) -> None:
        if self._socket is None:
            return
        try:
            data = self._socket.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._answer += data
        if len(self._answer) >= _STATUS_LINE_BYTES or not data:
            self._tell(read_status(self._answer))


def read_status(answer: bytes) -> int | None:
    """The status of an HTTP/1 answer; None if it is none. Pure."""
    words = answer[: _STATUS_LINE_BYTES + 1].split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        return None
    return int(words[1])
