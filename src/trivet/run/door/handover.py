"""The end of a door's life: a new door, its heir, takes over its listening sockets and its connections.

Nothing is decided until the heir has said that it is ready: an heir that ends or hangs before leaves everything as it
was. From then on whatever is at rest goes over, a batch at a time, and the next only when the heir has said how many it
took. What has a request under way stays here until it is answered; when nothing is left, this door ends. And if the
heir's process ends before that, this door is the door again.
"""

import os
from collections import deque
from collections.abc import Callable
from functools import partial
from select import EPOLLIN

from trivet.run.door.asker import Asker
from trivet.run.door.control import Connection, Control
from trivet.run.door.door import Door
from trivet.run.door.loop import NEVER, Loop, Watched
from trivet.run.door.parted import Parted

_READY_WITHIN_S = 5.0
_BATCH = 100  # SCM_RIGHTS takes 253 descriptors
_AGAIN_S = 0.1


class Handover(Watched):
    """One heir, from its first request until it or this door has ended. `over` is called when it is the heir that has."""

    def __init__(self, loop: Loop, door: Door, control: Control, heir: Connection) -> None:
        super().__init__()
        self._loop = loop
        self._door = door
        self._control = control
        self._heir = heir
        self._pidfd = os.pidfd_open(heir.peer_pid)
        self._waiting: deque[tuple[str, Asker]] = deque()
        self._sent: list[tuple[str, Parted]] = []
        self._is_due = False
        self._not_before = 0.0
        self.is_decided = False
        self.over: Callable[[], None] = _nothing
        self.done: Callable[[], None] = _nothing
        loop.watch(self._pidfd, EPOLLIN, self)
        loop.set_deadline(self, loop.now + _READY_WITHIN_S)
        control.hold(heir)
        door.shut()

    def decide(self, grace_s: float) -> None:
        """The heir is the door; what is still under way here when the grace is over is cut."""
        self.is_decided = True
        self._loop.set_deadline(self, NEVER)
        self._loop.set_deadline(self, self._loop.now + grace_s)
        self._control.dismiss(self._heir)
        for name, deploy in self._door.deploys.items():
            deploy.on_rest = partial(self._on_rest, name)
            self._waiting.extend((name, client) for client in deploy.clients)
        self._soon()

    def took(self, count: int) -> None:
        """The heir has taken so many of the last batch; the others are ours again, and tried again."""
        sent, self._sent = self._sent, []
        for _, parted in sent[:count]:
            self._loop.close(parted.connection)
        if count < len(sent):
            self._not_before = self._loop.now + _AGAIN_S
            self._readmit(sent[count:])
        self._soon()

    def ready(self, mask: int) -> None:
        """The heir's process has ended before we did."""
        self._loop.forget(self._pidfd)
        os.close(self._pidfd)
        self._loop.cancel(self)
        self._heir.fail()
        sent, self._sent = self._sent, []
        if self._control.listen_again():
            for deploy in self._door.deploys.values():
                deploy.on_rest = None
            self._door.reopen()
            self.over()
        self._readmit(sent)
        self._soon()

    def fail(self) -> None:
        """Trouble with one client is no trouble of the others."""

    def expire(self) -> None:
        if self.is_decided:
            self._loop.report(
                f"{self._door.cut_all()} connections were cut: their time with the old front door is over"
            )
            self.done()
            return
        self._loop.report("the new front door was not ready in time; the old one goes on")
        self._heir.fail()
        self._control.listen_again()
        self._door.reopen()

    def _on_rest(self, name: str, client: Asker | None) -> None:
        if client is not None:
            self._waiting.append((name, client))
        self._soon()

    def _soon(self) -> None:
        """Once whoever called is done: a client does not part while it is being read."""
        if not self._is_due:
            self._is_due = True
            self._loop.call_at(max(self._loop.now, self._not_before), self._move)

    def _move(self) -> None:
        self._is_due = False
        if not self.is_decided or (self._sent and self._heir.is_open):
            return
        if self._heir.is_open:
            self._send()
        if not self._sent and not self._door.has_clients():
            self.done()

    def _send(self) -> None:
        while self._waiting and len(self._sent) < _BATCH:
            name, client = self._waiting.popleft()
            if client.is_at_rest():
                self._sent.append((name, client.part()))
        if self._sent:
            facts = [_facts(name, parted) for name, parted in self._sent]
            descriptors = [parted.connection.fileno() for _, parted in self._sent]
            self._heir.send({"event": "clients", "clients": facts}, descriptors)

    def _readmit(self, sent: list[tuple[str, Parted]]) -> None:
        for name, parted in sent:
            self._door.admit(name, parted)


def _facts(name: str, parted: Parted) -> dict[str, object]:
    return {"deploy": name, "left_s": parted.left_s, **parted.peer.as_facts()}


def _nothing() -> None:
    return
