"""A client's connection between two requests, on its way from one door to the next."""

import socket

from trivet.run.door.request import Peer


class Parted:
    """The connection, which is its owner's to close; who is at its other end; how long it may go on saying nothing.

    There is no more to know of a connection at rest, so doors of different versions understand each other.
    """

    __slots__ = ("connection", "left_s", "peer")

    def __init__(self, connection: socket.SocketType, peer: Peer, left_s: float) -> None:
        self.connection = connection
        self.peer = peer
        self.left_s = left_s
