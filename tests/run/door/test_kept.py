"""Sockets that the door holds for processes of an app: it accepts nothing from them, and gives them to who asks."""

import socket
from collections.abc import Mapping

from support.door import DEPLOY, FrontDoor
from support.wire import connect
from trivet.host import reuseport

PLACE = {"deploy": DEPLOY, "host": "127.0.0.1", "port": 8000}


def _keep(door: FrontDoor, names: list[str], new: Mapping[str, socket.socket]) -> None:
    request = {"do": "keep", **PLACE, "names": names, "new": list(new)}
    assert door.ask(request, [each.fileno() for each in new.values()]).ok


def _kept(door: FrontDoor, start: int = 0) -> tuple[list[str], list[socket.socket]]:
    """The names in their order, and the sockets of those that the door holds."""
    answer = door.ask({"do": "kept", "from": start})
    assert all(entry["deploy"] == DEPLOY for entry in answer.data["sockets"])
    return [entry["name"] for entry in answer.data["sockets"]], [socket.socket(fileno=fd) for fd in answer.fds]


def test_what_is_kept_outlives_whoever_brought_it_and_nothing_is_accepted(door: FrontDoor) -> None:
    first = socket.create_server(("127.0.0.1", 0))
    second = socket.create_server(("127.0.0.1", 0))
    _keep(door, ["", "v1.web.1"], {"v1.web.1": first})
    _keep(door, ["", "v2.web.1", "v1.web.1"], {"v2.web.1": second})
    address = first.getsockname()
    first.close()
    second.close()
    with connect(address) as client:
        names, sockets = _kept(door)
        assert names == ["", "v2.web.1", "v1.web.1"]
        assert sockets[1].getsockname() == address
        assert reuseport.waiting(sockets[1]) == 1
        accepted, _ = sockets[1].accept()
        accepted.close()
        client.recv(1)
    for each in sockets:
        each.close()


def test_what_is_no_longer_named_is_let_go(door: FrontDoor) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    address = listening.getsockname()
    _keep(door, ["v1.web.1"], {"v1.web.1": listening})
    listening.close()
    connect(address).close()
    _keep(door, [], {})
    assert _kept(door) == ([], [])
    with socket.socket() as caller:
        assert caller.connect_ex(address) != 0


def test_many_are_given_back_in_parts(door: FrontDoor) -> None:
    sockets = {f"v1.web.{n}": socket.create_server(("127.0.0.1", 0)) for n in range(1, 151)}
    names = list(sockets)
    _keep(door, names[:100], dict(list(sockets.items())[:100]))
    _keep(door, names, dict(list(sockets.items())[100:]))
    addresses = [each.getsockname() for each in sockets.values()]
    for each in sockets.values():
        each.close()
    count = door.ask({"do": "kept", "from": 500}).data["count"]
    assert count == 150
    first, second = _kept(door), _kept(door, 100)
    assert first[0] + second[0] == names
    assert [each.getsockname() for each in first[1] + second[1]] == addresses
    for each in first[1] + second[1]:
        each.close()


def test_a_backend_is_reached_where_the_route_says(door: FrontDoor) -> None:
    elsewhere = socket.create_server(("127.0.0.2", 0))
    request = {"do": "route", "deploy": DEPLOY, "stopped": False, "host": "127.0.0.2"}
    backends = [{"process": "web.1", "release": 1, "port": elsewhere.getsockname()[1]}]
    assert door.ask({**request, "backends": backends}).ok
    with connect(door.address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        accepted, _ = elsewhere.accept()
        with accepted:
            assert accepted.recv(5) == b"GET /"
    elsewhere.close()
