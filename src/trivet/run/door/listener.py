"""A listening socket of a deploy: it accepts connections, and stops for a moment when descriptors run short."""

import socket
from collections.abc import Callable
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM
from functools import lru_cache, partial
from select import EPOLLIN

from trivet.run.door.client import Client
from trivet.run.door.deploy import Deploy
from trivet.run.door.greeter import Greeter
from trivet.run.door.loop import Loop, Watched
from trivet.run.door.proxy_header import Origin
from trivet.run.door.request import Peer

_SHORT = (EMFILE, ENFILE, ENOBUFS, ENOMEM)
_BATCH = 64
_PAUSE_S = 0.1
_MOST_PEERS_RECALLED = 512


class Room:
    """How many client connections there may be, so that each could have one to a backend; and who is told of trouble.

    `is_shut`: connections are accepted by another door, which has the same sockets.
    """

    def __init__(self, most: int, report: Callable[[str], None]) -> None:
        self.most = most
        self.report = report
        self.deploys: dict[str, Deploy] = {}
        self.is_shut = False

    @property
    def left(self) -> int:
        """For how many more connections there are descriptors."""
        return self.most - sum(deploy.connections for deploy in self.deploys.values())

    def left_for(self, deploy: Deploy) -> int:
        """For how many more of this deploy: a quarter of the room is kept for the others, in equal parts, so that nobody who
        connects to one deploy can shut the doors of all.
        """
        left, kept = self.left, self.most // 4
        if left - kept >= _BATCH:
            return left - kept
        others = [each for each in self.deploys.values() if not (each is deploy or each.is_closed)]
        part = kept // (len(others) + 1)
        return left - sum(max(part - each.connections, 0) for each in others)

    def why_full(self, deploy: Deploy) -> str:
        """What is told when none is left for this deploy."""
        if self.left > 0:
            return f"{deploy.connections} connections to one deploy are open, as many as leave room for the others"
        return f"{self.most} connections are open, as many as there are descriptors for"


class Listener(Watched):
    """One address of a deploy; it owns the socket."""

    def __init__(self, loop: Loop, room: Room, deploy: Deploy, listening: socket.socket) -> None:
        super().__init__()
        self._loop = loop
        self._room = room
        self._deploy = deploy
        self.socket = listening
        self._kind = int(listening.family), int(listening.type), listening.proto
        self._is_open = True
        self._is_watched = False
        _prepare(listening)
        self.resume()

    def ready(self, mask: int) -> None:
        left = self._room.left_for(self._deploy)
        if left <= 0:
            self._pause(self._room.why_full(self._deploy))
            return
        for _ in range(min(left, _BATCH)):
            try:
                # what accept() is made of; it would ask anew, each time, what kind of socket this is
                descriptor, address = self.socket._accept()  # type: ignore[attr-defined]
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _SHORT:
                    raise
                self._pause(f"no connection can be accepted: {error.strerror}")
                return
            self._admit(socket.SocketType(*self._kind, descriptor), address[0])

    def fail(self) -> None:
        """An error while accepting concerns that connection; the door stays open."""

    def expire(self) -> None:
        """A listener has no deadline."""

    def close(self) -> None:
        """The door's own copy of the socket is closed."""
        self._is_open = False
        self.pause()  # others have the socket, too
        self._loop.close(self.socket)

    def pause(self) -> None:
        """No connection is accepted until `resume`."""
        self._is_watched = False
        self._loop.forget(self.socket.fileno())

    def resume(self) -> None:
        """Connections are accepted, unless the room is shut."""
        if self._is_open and not self._is_watched and not self._room.is_shut:
            self._is_watched = True
            self._loop.watch(self.socket.fileno(), EPOLLIN, self)

    def _admit(self, connection: socket.SocketType, address: str) -> None:
        if not self._deploy.is_proxied:
            client = Client(self._loop, self._deploy, connection, _peer(address))
            self._loop.guard(client, client.begin)
            return
        try:
            connection.settimeout(0)
            Greeter(self._loop, connection, self._deploy.greeted, partial(self._admit_origin, address))
            self._deploy.greeting += 1
        except OSError:  # gone already
            connection.close()

    def _admit_origin(self, address: str, connection: socket.SocketType, origin: Origin, data: bytes) -> None:
        """The load balancer at this address has told whose connection it is, and sent this much of a request."""
        peer = _peer(address) if origin.address is None else Peer(origin.address, is_told=True, is_tls=origin.is_tls)
        client = Client(self._loop, self._deploy, connection, peer)
        client.rest()
        if data:
            client.receive(data)
        else:
            self._deploy.rested(client)

    def _pause(self, why: str) -> None:
        self._room.report(f"{why}; trying again shortly")
        self.pause()
        self._loop.call_at(self._loop.now + _PAUSE_S, self.resume)


@lru_cache(_MOST_PEERS_RECALLED)
def _peer(address: str) -> Peer:
    """Who is there, in the same words as for the last connection from there."""
    return Peer(address)


def _prepare(listening: socket.socket) -> None:
    """Accepted connections inherit: no delay of small packets, and the end after two minutes of a silent network."""
    listening.settimeout(0)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_NODELAY, 1),
        (socket.TCP_KEEPIDLE, 60),
        (socket.TCP_KEEPINTVL, 15),
        (socket.TCP_KEEPCNT, 4),
    ):
        listening.setsockopt(socket.IPPROTO_TCP, option, value)
