"""The proof that what should answer is what answers: who listens on which port, and what of other releases is left."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from trivet.host import processes
from trivet.host.descendants import find_processes_marked
from trivet.host.processes import Holder
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.run import Proof, Serving
from trivet.run.leftovers import mark
from trivet.run.supervisor import strays, way_in
from trivet.run.supervisor.status import Status


def foreign_holders(port: int, session: int, temporary: str) -> tuple[Holder, ...]:
    """Who listens on the port without being of this session, or started by it, as this temporary folder tells."""
    others = processes.port_holders(port, but=_members(session))
    own = find_processes_marked([mark(Path(temporary))]) if others else {}
    user = processes.user_of(session)  # others may say of themselves what they like
    return tuple(each for each in others if each.pid not in own or processes.user_of(each.pid) != user)


def _members(session: int) -> Iterator[int]:
    """The one that most often listens first: looking for the others takes a look at every process of the machine."""
    yield session
    yield from processes.session_members(session)


def prove(home: Home, deploy: Deploy, statuses: Iterable[Status]) -> Proof:
    """Who listens for these processes, which are all that is to run of the deploy, and which others are left of it."""
    statuses = tuple(statuses)
    serving = tuple(found for status in statuses if (found := _serving(status)) is not None)
    own = frozenset(status.temporary for status in statuses)
    left = tuple(each.pid for each in strays.find(home) if each.deploy == str(deploy) and each.temporary not in own)
    return Proof(serving, left)


def _serving(status: Status) -> Serving | None:
    """None: it has no port, or nothing of it listens there."""
    if status.port is None or status.pid is None or (holder := way_in.holder(status)) is None:
        return None
    return Serving(status.process, holder, status.port, by_socket=status.uses_socket)
