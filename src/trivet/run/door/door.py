"""The front door: every deploy's listening sockets and routes, and what the supervisor can ask of them."""

import socket
from collections.abc import Callable, Sequence

from trivet.run.door.backend import Backend
from trivet.run.door.client import Client
from trivet.run.door.deploy import Deploy, Target
from trivet.run.door.listener import Listener, Room
from trivet.run.door.loop import Loop
from trivet.run.door.parted import Parted

Address = tuple[str, int]
Json = dict[str, object]


class Door:
    """Deploys by name, listeners by deploy and address. `on_idle` is told of every backend that has left."""

    def __init__(self, loop: Loop, room: Room, on_idle: Callable[[str, Backend], None]) -> None:
        self._loop = loop
        self._room = room
        self._on_idle = on_idle
        self._listeners: dict[str, dict[Address, Listener]] = {}

    def open(self, name: str, address: Address, listening: socket.socket) -> None:
        """Connections to this socket reach the deploy; a socket that had this address before is let go."""
        listeners = self._listeners.setdefault(name, {})
        before = listeners.get(address)
        listeners[address] = Listener(self._loop, self._room, self._deploy(name), listening)
        if before is not None:
            before.close()

    def route(self, name: str, targets: Sequence[Target], *, stopped: bool, host: str) -> None:
        """New requests of the deploy go to these backends alone, which are reached at this host."""
        self._deploy(name).route(targets, stopped=stopped, host=host)

    def expect_proxy(self, name: str, *, expected: bool) -> None:
        """New connections of the deploy begin with the PROXY protocol, each one; or none does."""
        self._deploy(name).is_proxied = expected

    def report_idle(self, name: str) -> None:
        """`on_idle` is told of the backends that the last change left without a request."""
        if name in self._room.deploys:
            self._room.deploys[name].report_idle()

    def cut(self, name: str, port: int) -> list[Backend]:
        """What is in flight at leaving backends on this port is cut; returns these backends."""
        return self._deploy(name).cut(port)

    def close(self, name: str, address: Address | None) -> None:
        """The address, or all of the deploy, is closed; with its last address a deploy is, once its clients are served."""
        listeners = self._listeners.get(name, {})
        for known in [known for known in listeners if address in (None, known)]:
            listeners.pop(known).close()
        deploy = self._room.deploys.get(name)
        if deploy is not None and not listeners:
            self._listeners.pop(name, None)
            deploy.close()
            deploy.report_idle()

    def listeners(self) -> list[tuple[str, Address, int]]:
        """(deploy, address, descriptor) of every listening socket."""
        return [
            (name, address, listener.socket.fileno())
            for name, listeners in self._listeners.items()
            for address, listener in listeners.items()
        ]

    @property
    def deploys(self) -> dict[str, Deploy]:
        """The deploys by name; also closed ones whose clients are still served."""
        return self._room.deploys

    def routes(self) -> list[tuple[str, Deploy]]:
        """The deploys that new requests may come for."""
        return [(name, deploy) for name, deploy in self.deploys.items() if not deploy.is_closed]

    def has_backend(self, name: str, port: int) -> bool:
        """Whether the deploy has this backend, serving or leaving."""
        deploy = self.deploys.get(name)
        return deploy is not None and any(each.port == port for each in deploy.backends + deploy.leaving)

    @property
    def room_left(self) -> int:
        """For how many more connections there are descriptors."""
        return self._room.left

    def has_clients(self) -> bool:
        return any(deploy.clients or deploy.greeting for deploy in self.deploys.values())

    def shut(self) -> None:
        """No connection is accepted; the listening sockets stay open, for another door."""
        self._room.is_shut = True
        for listener in self._all_listeners():
            listener.pause()

    def reopen(self) -> None:
        """Connections are accepted again."""
        self._room.is_shut = False
        for listener in self._all_listeners():
            listener.resume()

    def admit(self, name: str, parted: Parted) -> None:
        """The connection, which was another door's, is this one's."""
        deploy = self.deploys.get(name)
        if deploy is None or deploy.is_closed:
            parted.connection.close()
            return
        client = Client(self._loop, deploy, parted.connection, parted.peer)
        client.rest()
        self._loop.set_deadline(client, self._loop.now + parted.left_s)
        deploy.rested(client)

    def cut_all(self) -> int:
        """Nothing is under way any more; returns how many connections were."""
        clients = [client for deploy in self.deploys.values() for client in deploy.clients]
        for client in clients:
            client.fail()
        return len(clients)

    def status(self) -> Json:
        """Counts, for a person or a test to look at."""
        self._forget_closed()
        deploys = self._room.deploys
        return {
            "connections": sum(len(deploy.clients) for deploy in deploys.values()),
            "requests": sum(deploy.requests for deploy in deploys.values()),
            "deploys": {name: _describe(deploy) for name, deploy in deploys.items()},
        }

    def _all_listeners(self) -> list[Listener]:
        return [listener for listeners in self._listeners.values() for listener in listeners.values()]

    def _deploy(self, name: str) -> Deploy:
        deploys = self._room.deploys
        if name not in deploys or deploys[name].is_closed:
            self._forget_closed()
            deploys[name] = Deploy(self._loop, lambda backend: self._on_idle(name, backend))
        return deploys[name]

    def _forget_closed(self) -> None:
        deploys = self._room.deploys
        for name in [name for name, deploy in deploys.items() if deploy.is_closed and not deploy.clients]:
            del deploys[name]


def _describe(deploy: Deploy) -> Json:
    return {
        "connections": len(deploy.clients),
        "requests": deploy.requests,
        "held": len(deploy.held),
        "refused": deploy.refused,
        "stopped": deploy.is_stopped,
        "backends": [
            {
                "process": backend.identity[0],
                "release": backend.identity[1],
                "port": backend.port,
                **({"socket": str(backend.socket)} if backend.socket is not None else {}),
                "requests": backend.requests,
                "in_flight": len(backend.busy),
                "idle_connections": backend.idle_connections,
                "leaving": backend.is_leaving,
            }
            for backend in deploy.backends + deploy.leaving
        ],
    }
