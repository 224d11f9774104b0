"""The way into a `web` process: the port that it was given, or the Unix socket in its temporary folder, as it chooses."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from socket import socket

from trivet.host import processes
from trivet.host.sockets import reach_unix
from trivet.model.run_plan import ProcessPlan
from trivet.run.plan import process_environment, socket_path, socket_variables
from trivet.run.supervisor.knock import Knock, knock_at
from trivet.run.supervisor.status import Status


def environment(plan: ProcessPlan, status: Status, temporary: Path) -> Mapping[str, str]:
    """What a process that is about to be started with this temporary folder is told, and so where it may listen."""
    own = process_environment(plan.environment, plan.name, temporary, status.port)
    return own if status.port is None or plan.inherits else {**own, **socket_variables(temporary)}


def knock_of(status: Status) -> Knock | None:
    """How it is asked, wherever it listens; None: it takes no connection."""
    if status.port is None:
        return None
    if status.socket is not None:
        return partial(reach_unix, status.socket)
    return partial(_knock_at_either, socket_path(Path(status.temporary)), status.port)


def holder(status: Status) -> int | None:
    """Which process of its session listens where it is to; None: none does."""
    members = processes.session_members(status.pid or 0)
    if status.socket is not None:
        return processes.socket_listener(members, str(status.socket))
    return next((pid for pid in members if status.port in processes.listening_ports((pid,))), None)


def _knock_at_either(path: Path, port: int) -> socket:
    try:
        return reach_unix(path)
    except OSError:
        return knock_at(port)
