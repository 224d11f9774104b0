"""Who wants an answer: what deploys and upstreams need of a client, so that neither knows clients.

A base class, not a Protocol, for the same reason as `loop.Watched`.
"""

from trivet.run.door.parted import Parted
from trivet.run.door.refusal import Refusal
from trivet.run.door.request import Request


class Loss:
    """How the connection to a backend broke.

    `reached`: the kernel had taken bytes of the request. `begun`: bytes of an answer had come.
    `is_endless`: an answer without a length was under way, whose end and whose loss look alike to the client.
    """

    __slots__ = ("begun", "is_endless", "reached")

    def __init__(self, *, reached: bool, begun: bool = False, is_endless: bool = False) -> None:
        self.reached = reached
        self.begun = begun
        self.is_endless = is_endless


class Carrier:
    """The connection that carries a client's request to a backend."""

    __slots__ = ()

    def send(self, data: bytes) -> bool:
        """More of the body goes to the backend. False: it is congested, stop reading until `Asker.drained`."""
        raise NotImplementedError

    def finish_sending(self) -> None:
        """After a switch: the client has no more to send."""
        raise NotImplementedError

    def resume(self) -> None:
        """The client's side has room again: more of the answer may be read."""
        raise NotImplementedError

    def abandon(self) -> None:
        """The client wants no answer any more: the backend sees its connection close."""
        raise NotImplementedError


class Asker:
    """One client with one request under way."""

    __slots__ = ()

    request: Request

    def takes_any(self) -> bool:
        """Whether any idle connection will do: were it about to be closed, the request could be sent again."""
        raise NotImplementedError

    def wants_fresh(self) -> bool:
        """Whether an idle connection has failed the request already."""
        raise NotImplementedError

    def must_close(self) -> bool:
        """Whether the client's connection ends with this answer."""
        raise NotImplementedError

    def has_asked(self) -> bool:
        """Whether the whole request, body and all, has been handed on."""
        raise NotImplementedError

    def outgoing(self, carrier: Carrier) -> bytes:
        """The request as far as it has come: its head and the beginning of its body; this is who carries it."""
        raise NotImplementedError

    def accepted(self) -> None:
        """The backend took the request's first bytes."""
        raise NotImplementedError

    def wait(self) -> None:
        """No backend has taken the request yet: it waits, not for ever."""
        raise NotImplementedError

    def drained(self) -> None:
        """Nothing waits to be sent to the backend: more of the body may be read."""
        raise NotImplementedError

    def relay(self, data: bytes) -> bool:
        """Bytes of the answer go to the client. False: its side is congested, stop reading until `resume`."""
        raise NotImplementedError

    def finished(self) -> None:
        """The answer is whole."""
        raise NotImplementedError

    def finished_last(self) -> None:
        """The answer is whole, and the client's connection ends with it."""
        raise NotImplementedError

    def switched(self) -> None:
        """From here on both directions are streams of bytes."""
        raise NotImplementedError

    def ended(self) -> None:
        """After a switch: the backend has no more to send."""
        raise NotImplementedError

    def lost(self, loss: Loss) -> None:
        """The connection to the backend broke."""
        raise NotImplementedError

    def misanswered(self, refusal: Refusal) -> None:
        """The backend's answer breaks the rules."""
        raise NotImplementedError

    def refuse(self, status: int, text: str) -> None:
        """The client is told this, and its connection ends."""
        raise NotImplementedError

    def is_at_rest(self) -> bool:
        """Whether the connection is between two requests: all there is to know of it is in its socket."""
        raise NotImplementedError

    def part(self) -> Parted:
        """The connection, at rest, is the caller's, and none of this door's any more."""
        raise NotImplementedError

    def fail(self) -> None:
        """The connection is closed, whatever is under way."""
        raise NotImplementedError

    def retire(self) -> None:
        """The connection ends now if no request is under way, else after it."""
        raise NotImplementedError
