"""What goes on at a process's port: whether it answers anybody, and how many connections it holds.

A server whose threads all have a kept connection takes no new one, a health check no more than another, as long as these
are asked. Seen from the check it is the same as one that hangs; seen by its users it is well.
"""

from trivet.host import processes
from trivet.host.connections import UNACCEPTED, Connection, connections_of
from trivet.run.supervisor.status import Status


def answers_others(status: Status, asker_port: int | None, within_s: float) -> bool:
    """Whether what was asked from that port was not read so far, and meanwhile the process has answered others.

    False if that cannot be told: on a Unix socket the kernel knows nothing of the kind.
    """
    if asker_port is None or status.port is None:
        return False
    try:
        connections = connections_of(status.port)
    except OSError:
        return False
    if any(each.peer_port == asker_port and _is_read(each) for each in connections):
        return False  # it hangs over it
    own = _own(status)
    return any(each.inode in own for each in connections if _was_answered(each, within_s))


def held_connections(status: Status) -> int:
    """How many connections at its port the process, or what it has started, has accepted and not closed. 0: or unknown."""
    if status.port is None or status.pid is None:
        return 0
    try:
        connections = connections_of(status.port)
    except OSError:
        return 0
    own = _own(status)
    return sum(each.inode in own for each in connections)


def _is_read(asked: Connection) -> bool:
    return asked.inode != UNACCEPTED and not asked.unread_bytes


def _was_answered(connection: Connection, within_s: float) -> bool:
    return connection.sent_s is not None and connection.sent_s <= within_s


def _own(status: Status) -> frozenset[str]:
    return processes.open_sockets(processes.session_members(status.pid or 0))
