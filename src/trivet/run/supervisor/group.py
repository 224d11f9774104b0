"""The sockets that listen on one address: the front door's, and one for each process that inherits.

They are a group of the kernel's (host/reuseport.py). Whoever serves gets new connections, the others only what knocks on
them: so a new process answers a probe, and nobody else, until it is to serve. The door's comes first; it gets
what comes while nobody serves. No socket that is in use ever changes its place: one that goes leaves it to a spare.
"""

import os
import socket
from collections.abc import Callable, Mapping, Sequence

from trivet.errors import PortTaken, RunError, TrivetError
from trivet.host import processes, reuseport
from trivet.host.files import refused
from trivet.host.reuseport import Source
from trivet.model.frozen import frozen
from trivet.model.run import Address

BACKLOG = 1024
DOOR = ""
_SPARE = "~"

Keep = Callable[[Address, Sequence[str], Mapping[str, int]], None]


@frozen
class Slot:
    """A socket in its place; `name` says whose it is."""

    name: str
    socket: socket.socket

    @property
    def is_spare(self) -> bool:
        return self.name.startswith(_SPARE)


class Group:
    """The sockets of one address of a deploy. `keep` is told the names in their order and what is new, to outlive us.

    `serving`: None: as whoever was here before us directed it; nothing serves: the door does.
    """

    def __init__(self, address: Address, slots: Sequence[Slot], keep: Keep) -> None:
        self.address = address
        self._slots = list(slots)
        self._keep = keep
        self._serving: tuple[str, ...] | None = () if len(self._slots) == 1 else None
        self._knocks: dict[str, Source] = {}
        self._spares = 0
        self._is_closed = False

    @property
    def host(self) -> str:
        """Where the address is reached from this machine."""
        return _ends(self._bound_to)[1]

    @property
    def names(self) -> tuple[str, ...]:
        """Whose sockets there are, in their order."""
        return tuple(slot.name for slot in self._slots)

    def add(self, name: str) -> Slot:
        """A socket of this name, which gets nothing but knocks yet. Raises: RunError, PortTaken, MachineError."""
        self._direct()
        before = next((slot for slot in self._slots if slot.is_spare), None) or self._append()
        slot = Slot(name, before.socket)
        self._slots[self._slots.index(before)] = slot
        self._tell({name: slot.socket.fileno()})
        return slot

    def let_be(self) -> None:
        """The sockets stay as they are, and with the front door; another supervisor will find them."""
        for slot in self._slots:
            slot.socket.close()

    def find(self, name: str) -> Slot | None:
        """The socket of this name."""
        return next((slot for slot in self._slots if slot.name == name), None)

    def remove(self, slot: Slot) -> None:
        """Nobody is accepted from this socket any more, whoever still has it.

        Raises: PortTaken, MachineError: no spare can take its place, so it becomes one, and gets nothing either.
        """
        if slot not in self._slots:
            return
        self._knocks.pop(slot.name, None)
        if slot is not self._slots[-1] and not self._is_closed:
            self._make_spare_of(slot)
        else:
            self._stop(slot)
        while self._slots and self._slots[-1].is_spare:
            self._stop(self._slots[-1])
        self._tell({})

    def close(self) -> None:
        """The front door does not listen here any more, nor any spare; what leaves does so until it has ended."""
        self._is_closed = True
        if self.names == (DOOR,):
            return  # nobody ever inherited here, and the front door keeps nothing
        for slot in [slot for slot in self._slots if slot.is_spare]:
            self._stop(slot)
        self._slots = [slot for slot in self._slots if slot.name != DOOR]
        self._tell({})

    def serve(self, names: Sequence[str]) -> None:
        """New connections go to these sockets; to the front door's if there are none. Raises: MachineError."""
        if self._serving == () == tuple(names):
            return
        self._serving = tuple(names)
        for name in names:
            self._knocks.pop(name, None)
        self._direct()

    def knock(self, name: str) -> socket.socket:
        """A connection that reaches this socket, whoever serves; it may not be there yet, and does not block.

        Raises: OSError, MachineError.
        """
        if self._serving is None:
            raise ConnectionAbortedError("nobody knows yet who serves")
        host, target = _ends(self._bound_to)
        caller = socket.socket(self._slots[0].socket.family, socket.SOCK_STREAM)
        try:
            caller.settimeout(0)
            caller.bind((host, 0))
            self._knocks[name] = (host, int(caller.getsockname()[1]))
            self._direct()
            caller.connect_ex((target, self.address.port))
        except BaseException:
            caller.close()
            raise
        return caller

    def keep_all(self) -> None:
        """A front door that has just started keeps them all."""
        if len(self._slots) > 1:
            self._tell({slot.name: slot.socket.fileno() for slot in self._slots[1:]})

    @property
    def _bound_to(self) -> str:
        return str(self._slots[0].socket.getsockname()[0])

    def _make_spare_of(self, slot: Slot) -> None:
        """A new spare is in its place, or itself if there can be none: whoever is last in the kernel's array stays there."""
        index = self._slots.index(slot)
        try:
            self._append()
        except TrivetError:
            self._slots[index] = Slot(self._spare_name(), slot.socket)
            self._tell({self._slots[index].name: slot.socket.fileno()})
            raise
        self._stop(slot)

    def _stop(self, slot: Slot) -> None:
        reuseport.stop_listening(slot.socket)
        slot.socket.close()
        take_out(self._slots, self._slots.index(slot))

    def _append(self) -> Slot:
        try:
            reuseport.open_up(self._slots[0].socket)
            listening = reuseport.listen((self.address.host, self.address.port), BACKLOG, joins=True)
        except OSError as error:
            raise refused(error, f"open another socket on port {self.address.port}") from error
        strangers = reuseport.strangers((*(slot.socket for slot in self._slots), listening))
        if strangers:  # one that came before ours has taken its place in the array
            listening.close()
            raise _shared(self.address, strangers[0])
        slot = Slot(self._spare_name(), listening)
        self._slots.append(slot)
        self._tell({slot.name: listening.fileno()})
        return slot

    def _spare_name(self) -> str:
        self._spares += 1
        return f"{_SPARE}{os.getpid()}.{self._spares}"

    def _direct(self) -> None:
        places = {slot.name: index for index, slot in enumerate(self._slots)}
        if self._serving is None:
            return
        serving = [places[name] for name in self._serving] or [places[DOOR]]
        sources = {source: places[name] for name, source in self._knocks.items()}
        try:
            reuseport.direct(self._slots[0].socket, serving, sources)
        except OSError as error:
            raise _undirected(error) from error

    def _tell(self, fresh: Mapping[str, int]) -> None:
        self._keep(self.address, self.names if self.names != (DOOR,) else (), fresh)


def take_out(slots: list[Slot], index: int) -> None:
    """The last has its place, as in the kernel's array."""
    last = slots.pop()
    if index < len(slots):
        slots[index] = last


def restore(slots: Sequence[Slot]) -> list[Slot]:
    """What is left of them in the kernel's order, if some have stopped listening since somebody wrote them down."""
    left = list(slots)
    for slot in slots:
        if not reuseport.is_listening(slot.socket):
            take_out(left, left.index(slot))
            slot.socket.close()
    return left


def _ends(host: str) -> tuple[str, str]:
    """Where a knock comes from and goes to, for a socket that listens on this host. Nobody else comes from there."""
    if ":" in host:
        target = "::1" if host == "::" else host
        return target, target
    one, two, three = (1 + byte % 254 for byte in os.urandom(3))
    return f"127.{one}.{two}.{three}", "127.0.0.1" if host == "0.0.0.0" else host


def _undirected(error: OSError) -> RunError:
    return RunError(
        f'`socket = "inherit"` needs a BPF program at the listening socket, and the machine refuses it: {error.strerror}.',
        hint="Linux has it since 4.6; some sandboxes have not. Take the line out of trivet.toml: then the front door relays.",
    )


def _shared(address: Address, inode: str) -> PortTaken:
    holder = processes.socket_holder(inode)
    who = f"process {holder.pid} ({holder.command})" if holder is not None else "a process of another user"
    return PortTaken(
        f"{who[0].upper()}{who[1:]} listens on port {address.port} as well.",
        hint="It is given no connection; end it, and try again.",
    )
