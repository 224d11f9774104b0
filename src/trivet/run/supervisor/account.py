"""What the journal is told of one process, in the order in which it happened."""

from dataclasses import replace

from trivet.host.clock import now
from trivet.host.processes import Exit
from trivet.model.event import Event, EventKind
from trivet.run.supervisor.belonging import Belonging
from trivet.run.supervisor.journal import Journal
from trivet.run.supervisor.output import Output, Words


class Account:
    """Of one process. What is noted is told when there is time for it, and before anything else is."""

    __slots__ = ("_belonging", "_journal", "_name", "_noted", "_output")

    def __init__(self, journal: Journal, belonging: Belonging, name: str, output: Output) -> None:
        self._journal = journal
        self._belonging = belonging
        self._name = name
        self._output = output
        self._noted: tuple[Event, Exit | None, Words] | None = None

    def event(self, kind: EventKind, pid: int | None, how: str = "", after_s: float | None = None) -> Event:
        """One that happens now."""
        spent_s = None if after_s is None else round(after_s, 3)
        return Event(now(), kind, self._belonging.release, self._name, pid, how, spent_s)

    def tell(self, event: Event, ended: Exit | None) -> None:
        """It has happened; a crash is only noted. How the process ended, and its last words unless it was told to, are added."""
        self.catch_up()
        self._noted = (event, ended, self._output.words)
        if event.kind is not EventKind.CRASHED:
            self.catch_up()

    def catch_up(self) -> None:
        """What was noted is told."""
        noted, self._noted = self._noted, None
        if noted is None:
            return
        event, ended, words = noted
        if ended is not None:
            event = replace(event, status=ended.status, signal=ended.signal_name)
            if event.kind is not EventKind.ENDED:
                event = replace(event, output=words.last())
        self._journal.tell(self._belonging.deploy, event)
