"""The listening socket that a process inherits, and all of them: which address they are for, and who keeps them.

A socket is a process's for as long as it is kept alive: what connects while it starts again waits for it. The front door
holds a copy, so that it outlives us; it gives it back to whoever starts after us.
"""

import socket
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress

from trivet.errors import TrivetError
from trivet.host import reuseport
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.run import Address
from trivet.run.supervisor.group import DOOR, Group, Slot, restore
from trivet.run.supervisor.loop import Action, Loop

_HANDSHAKES_S = 0.25  # a connection that was begun before the shift is established within this, or over a slow network
_POLL_S = 0.02

Place = tuple[Deploy, Address]
Keep = Callable[[Deploy, Address, Sequence[str], Mapping[str, int]], None]


@frozen
class Kept:
    """A socket as the front door gives it back; None: its own, or one that is gone."""

    deploy: Deploy
    address: Address
    name: str
    socket: socket.socket | None


class Inheritance:
    """One process's listening socket. The process's command is given `descriptor`; `address` is where it listens."""

    __slots__ = ("_group", "_slot")

    def __init__(self, group: Group, slot: Slot) -> None:
        self._group = group
        self._slot = slot

    @property
    def name(self) -> str:
        return self._slot.name

    @property
    def address(self) -> Address:
        return self._group.address

    @property
    def host(self) -> str:
        """Where the address is reached from this machine."""
        return self._group.host

    @property
    def descriptor(self) -> int:
        return self._slot.socket.fileno()

    def knock(self) -> socket.socket:
        """A connection to this process alone, whoever serves; it does not block. Raises: OSError, TrivetError."""
        return self._group.knock(self._slot.name)

    def when_empty(self, loop: Loop, action: Action) -> None:
        """The action is done once no connection waits here; it is not to serve any more."""
        self._look(loop, action, time.monotonic() + _HANDSHAKES_S)

    def close(self) -> None:
        """Nobody is accepted from it any more, whoever still has it. Raises: MachineError, SupervisorUnreachable."""
        self._group.remove(self._slot)

    def _look(self, loop: Loop, action: Action, earliest: float) -> None:
        is_over = self.descriptor < 0 or (time.monotonic() >= earliest and reuseport.waiting(self._slot.socket) == 0)
        if is_over:
            action()
        else:
            loop.after(_POLL_S, lambda: self._look(loop, action, earliest))


class Inheritances:
    """Every deploy's groups of sockets. `keep` has the front door hold them: (deploy, address, names, new descriptors)."""

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self._groups: dict[Place, Group] = {}

    def open(self, deploy: Deploy, address: Address, listening: socket.socket) -> None:
        """The front door listens on the address with this socket."""
        self._groups[deploy, address] = self._group(deploy, address, [Slot(DOOR, listening)])

    def restore(self, kept: Iterable[Kept], doors: Mapping[Place, socket.socket]) -> None:
        """The groups are as somebody before us left them; `doors` are the front door's own sockets."""
        found: dict[Place, list[Slot]] = {place: [] for place in doors}
        for each in kept:
            place = each.deploy, each.address
            listening = doors.get(place) if each.name == DOOR else each.socket
            if place in found and listening is not None:
                found[place].append(Slot(each.name, listening))
            elif listening is not None:
                listening.close()
                self._keep(*place, (), {})
        for place, listening in doors.items():
            slots = restore(found[place]) or [Slot(DOOR, listening)]
            self._groups[place] = self._group(*place, slots)

    def close(self, deploy: Deploy, address: Address) -> None:
        """The front door does not listen on the address any more; processes that leave may still, until they end."""
        group = self._groups.pop((deploy, address), None)
        if group is not None:
            with suppress(TrivetError):  # no front door can be started: then none keeps anything
                group.close()

    def take(self, deploy: Deploy, address: Address, name: str) -> Inheritance:
        """What the process of this name inherits: the socket that it had before, or a new one.

        Raises: RunError, PortTaken, MachineError, SupervisorUnreachable.
        """
        group = self._groups[deploy, address]
        return Inheritance(group, group.find(name) or group.add(name))

    def find(self, deploy: Deploy, name: str) -> Inheritance | None:
        """What a process inherited that was found running."""
        for (owner, _), group in self._groups.items():
            if owner == deploy and (slot := group.find(name)) is not None:
                return Inheritance(group, slot)
        return None

    def serve(self, deploy: Deploy, names: Collection[str]) -> None:
        """New connections to the deploy go to these processes; to the front door if there are none. Raises: RunError."""
        for (owner, _), group in self._groups.items():
            if owner == deploy:
                group.serve([name for name in names if name in group.names])

    def discard(self, deploy: Deploy, used: Collection[str]) -> None:
        """No socket is left that none of these processes uses, but spares."""
        for (owner, _), group in self._groups.items():
            for name in group.names if owner == deploy else ():
                slot = group.find(name)
                if slot is not None and not slot.is_spare and name != DOOR and name not in used:
                    with suppress(TrivetError):  # it has become a spare
                        group.remove(slot)

    def let_be(self) -> None:
        """The sockets are nobody's here any more: another supervisor will find them at the front door."""
        for group in self._groups.values():
            group.let_be()

    def keep_all(self) -> None:
        """A front door that has just started holds them all."""
        for group in self._groups.values():
            group.keep_all()

    def _group(self, deploy: Deploy, address: Address, slots: Sequence[Slot]) -> Group:
        return Group(address, slots, lambda *kept: self._keep(deploy, *kept))
