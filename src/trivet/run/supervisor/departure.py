"""How processes leave: a `web` process once its last request was answered, or its grace is over; others at once.

One that has inherited its socket is told to end at once as well: only it knows what it works on. Its connections are
counted then, and once more when its grace is over.
"""

from collections.abc import Callable, Iterable
from functools import partial

from trivet.model.event import EventKind
from trivet.model.names import Deploy
from trivet.model.run import Drain
from trivet.run.supervisor.doorkeeper import Doorkeeper
from trivet.run.supervisor.loop import Alarm
from trivet.run.supervisor.process import Process
from trivet.run.supervisor.traffic import held_connections
from trivet.run.supervisor.yard import Yard


class Departure:
    """Lets the processes of one deploy go. `gone` is called for each one that has ended."""

    def __init__(self, yard: Yard, door: Doorkeeper, deploy: Deploy, gone: Callable[[Process], None]) -> None:
        self._yard = yard
        self._door = door
        self._deploy = deploy
        self._gone = gone
        self._draining: dict[Process, Alarm] = {}
        self._told: set[Process] = set()  # heirs, to end

    def let_go(
        self,
        processes: Iterable[Process],
        *,
        drained: Callable[[Drain], None],
        gone: Callable[[Process], None] | None = None,
    ) -> None:
        """No request goes to them any more: they are told to end as soon as they work on none.

        `drained` is called when all have been told, and what they had in flight has come to its end; `gone` of each that has
        ended. The door's route without them is already laid.
        """
        processes = tuple(processes)
        party = _Party({process for process in processes if process.status.port is not None}, drained)
        for process in processes:
            process.when_gone(self._gone, *filter(None, (gone,)))
            if process in party.waiting:
                self._drain(process, partial(self._on_idle, process, party))
            else:
                process.stop()
        if not party.waiting:
            self._yard.loop.soon(lambda: drained(Drain()))

    def _drain(self, process: Process, idle: Callable[[Drain], None]) -> None:
        # It will not be missed, so it is not started again; the door sees its connections end, and says so.
        process.is_watched = False
        process.on_end = _ignore
        self._draining[process] = self._yard.loop.after(process.plan.grace_s, partial(self._cut, process, idle))
        if process.inheritance is not None:  # what it has accepted is its own to finish
            process.inheritance.when_empty(self._yard.loop, partial(self._end_heir, process, idle))
        else:
            self._door.when_idle(self._deploy, process.status.port or 0, idle)

    def _cut(self, process: Process, idle: Callable[[Drain], None]) -> None:
        if process.inheritance is not None:
            self._end_heir(process, idle)
        else:
            idle(self._door.cut(self._deploy, process.status.port or 0))

    def _end_heir(self, process: Process, idle: Callable[[Drain], None]) -> None:
        """It is told to end, and counts as idle once it has: what it held by then has ended, or is cut with it."""
        if (alarm := self._draining.get(process)) is None or process in self._told:
            return
        alarm.cancel()
        self._told.add(process)
        held, left = held_connections(process.status), 0

        def count() -> None:
            nonlocal left
            left = min(held, held_connections(process.status))

        kept_until = self._yard.loop.after(process.plan.grace_s, count)  # just before it is killed

        def end(_: Process) -> None:
            kept_until.cancel()
            idle(Drain(held - left, left))

        process.when_gone(end)
        process.stop()

    def _on_idle(self, process: Process, party: "_Party", drain: Drain) -> None:
        if (alarm := self._draining.pop(process, None)) is None:
            return
        alarm.cancel()
        self._told.discard(process)
        party.waiting.discard(process)
        party.drain += drain
        if drain != Drain():
            process.tell(EventKind.DRAINED, _in_words(drain))
        process.stop()
        if not party.waiting:
            party.drained(party.drain)


def _in_words(drain: Drain) -> str:
    ended = f"{drain.drained} ended by {'itself' if drain.drained == 1 else 'themselves'}"
    return f"{ended}, {drain.cut} {'was' if drain.cut == 1 else 'were'} cut"


class _Party:
    """Processes that leave together, and what becomes of what they had in flight."""

    __slots__ = ("drain", "drained", "waiting")

    def __init__(self, waiting: set[Process], drained: Callable[[Drain], None]) -> None:
        self.waiting = waiting
        self.drained = drained
        self.drain = Drain()


def _ignore(process: Process, how: str) -> None:
    return
