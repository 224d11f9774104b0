"""The sockets of one address, as the kernel has them: whoever serves gets connections, whatever comes and goes beside it."""

import os
import random
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from support.command import eventually
from trivet.errors import PortTaken, RunError
from trivet.host import reuseport
from trivet.model.run import Address
from trivet.run.supervisor.group import DOOR, Group, Slot, restore


@dataclass
class Place:
    """A group, and what was kept of it: names in their order, and copies of the sockets."""

    address: Address
    group: Group
    names: list[str] = field(default_factory=list)
    copies: dict[str, socket.socket] = field(default_factory=dict)

    def keep(self, address: Address, names: Sequence[str], fresh: Mapping[str, int]) -> None:
        """As the front door does."""
        assert address == self.address
        before, self.names = self.copies, list(names)
        self.copies = {name: before.pop(name) for name in names if name in before and name not in fresh}
        for name, descriptor in fresh.items():
            self.copies[name] = socket.socket(fileno=os.dup(descriptor))
        for each in before.values():
            each.close()

    def call(self) -> socket.socket:
        """A new connection, as a client makes it."""
        return socket.create_connection((self.address.host, self.address.port), timeout=60)

    def who_gets(self, caller: socket.socket) -> str:
        """Whose socket the connection waits at; it is taken from there."""
        with caller:
            eventually(self._waiting, what="a connection that waits")
            (name,) = self._waiting()
            accepted, _ = self._socket(name).accept()
            accepted.close()
        return name

    def _waiting(self) -> list[str]:
        """Whose sockets connections wait at."""
        return [name for name in self.group.names if reuseport.waiting(self._socket(name))]

    def _socket(self, name: str) -> socket.socket:
        slot = self.group.find(name)
        assert slot is not None
        return slot.socket


@pytest.fixture
def place() -> Iterator[Place]:
    door = reuseport.listen(("127.0.0.1", 0), 64, joins=False)
    address = Address("127.0.0.1", int(door.getsockname()[1]))
    made: list[Place] = []
    group = Group(address, [Slot(DOOR, door)], lambda *kept: made[0].keep(*kept))
    made.append(Place(address, group))
    yield made[0]
    for name in made[0].group.names:
        slot = made[0].group.find(name)
        assert slot is not None
        slot.socket.close()
    for copy in made[0].copies.values():
        copy.close()


def test_the_door_gets_what_comes_until_somebody_serves_and_again_when_nobody_does(place: Place) -> None:
    place.group.add("one")
    assert place.who_gets(place.call()) == DOOR
    assert place.who_gets(place.group.knock("one")) == "one"
    place.group.serve(["one"])
    assert place.who_gets(place.call()) == "one"
    place.group.serve([])
    assert place.who_gets(place.call()) == DOOR


def test_whoever_serves_goes_on_whatever_comes_and_goes_beside_it(place: Place) -> None:
    chance = random.Random(20261129)
    group, there, serving = place.group, {}, "first"
    there[serving] = group.add(serving)
    group.serve([serving])
    for number in range(120):
        idle = [name for name in there if name != serving]
        deed = chance.choice(["add", "remove", "shift", "knock"])
        if deed == "add" and len(there) < 6:
            there[f"{number}"] = group.add(f"{number}")
        elif deed == "remove" and idle:
            group.remove(there.pop(chance.choice(idle)))
        elif deed == "shift" and idle:
            serving = chance.choice(idle)
            group.serve([serving])
        elif idle:
            name = chance.choice(idle)
            assert place.who_gets(group.knock(name)) == name
        assert place.who_gets(place.call()) == serving
        assert place.names == list(group.names)


def test_a_waiting_connection_outlives_the_one_who_had_the_socket_before(place: Place) -> None:
    group = place.group
    first = group.add("first")
    group.serve(["first"])
    second = group.add("second")
    group.serve(["second"])
    caller = place.call()
    group.remove(first)  # the second, which is the last in the kernel's array, stays where it is
    assert [name for name in group.names if name.startswith("~")] == [group.names[1]]
    third = group.add("third")
    assert group.names == (DOOR, "third", "second")
    eventually(lambda: reuseport.waiting(second.socket) == 1)
    assert reuseport.waiting(third.socket) == 0
    caller.close()


def test_with_a_stranger_beside_them_nobody_changes_places(place: Place) -> None:
    group = place.group
    first = group.add("first")
    group.add("second")
    group.serve(["second"])
    stranger = reuseport.listen((place.address.host, place.address.port), 64, joins=True)
    with pytest.raises(PortTaken):
        group.remove(first)
    assert place.who_gets(place.call()) == "second"
    stranger.close()
    third = group.add("third")
    group.serve(["third"])
    assert place.who_gets(place.call()) == "third"
    assert third.socket is first.socket


def test_an_address_that_is_given_up_has_no_spare_left_that_listens(place: Place) -> None:
    group = place.group
    first, second = group.add("first"), group.add("second")
    group.serve(["second"])
    group.remove(first)
    door = group.find(DOOR)
    assert door is not None
    group.close()
    assert place.names == ["second"]
    door.socket.close()
    group.remove(second)
    assert place.names == []
    with socket.socket() as caller:
        assert caller.connect_ex((place.address.host, place.address.port)) != 0


def test_a_machine_that_takes_no_program_says_what_to_do(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as alone:  # it is in no group, so the kernel refuses one
        address = Address("127.0.0.1", alone.getsockname()[1])
        group = Group(address, [Slot(DOOR, alone)], place.keep)
        with pytest.raises(RunError) as raised:
            group.add("one")
    assert raised.value.message == (
        '`socket = "inherit"` needs a BPF program at the listening socket, and the machine refuses it: Invalid argument.'
    )
    assert raised.value.hint == (
        "Linux has it since 4.6; some sandboxes have not. Take the line out of trivet.toml: then the front door relays."
    )


def test_whoever_finds_the_sockets_knows_their_order_after_one_has_stopped(place: Place) -> None:
    group = place.group
    slots = [group.add(name) for name in ("one", "two", "three", "four")]
    group.serve(["four"])
    reuseport.stop_listening(slots[1].socket)  # somebody was killed right after this
    door = group.find(DOOR)
    assert door is not None
    found = restore([door, *(Slot(name, place.copies[name]) for name in place.names if name != DOOR)])
    assert [slot.name for slot in found] == [DOOR, "one", "four", "three"]
    anew = Group(place.address, found, place.keep)
    anew.serve(["three"])
    caller = place.call()
    eventually(lambda: reuseport.waiting(slots[2].socket) == 1)
    caller.close()
    slots[1].socket.close()
