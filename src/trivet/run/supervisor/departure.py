"""How processes leave: a `web` process once its last request was answered, or its grace is over; others at once."""

from collections.abc import Callable, Iterable
from functools import partial

from trivet.model.names import Deploy
from trivet.run.supervisor.doorkeeper import Doorkeeper
from trivet.run.supervisor.loop import Action, Alarm
from trivet.run.supervisor.process import Process
from trivet.run.supervisor.yard import Yard


class Departure:
    """Lets the processes of one deploy go. `gone` is called for each one that has ended."""

    def __init__(self, yard: Yard, door: Doorkeeper, deploy: Deploy, gone: Callable[[Process], None]) -> None:
        self._yard = yard
        self._door = door
        self._deploy = deploy
        self._gone = gone
        self._draining: dict[Process, Alarm] = {}

    def let_go(self, processes: Iterable[Process], *, drained: Action) -> None:
        """No request goes to them any more: they are told to end as soon as they work on none.

        `drained` is called when all have been told. The door's route without them is already laid.
        """
        waiting = {process for process in processes if process.status.port is not None}
        for process in processes:
            if process in waiting:
                self._drain(process, partial(self._on_idle, process, waiting, drained))
            else:
                process.stop(self._gone)
        if not waiting:
            self._yard.loop.soon(drained)

    def _drain(self, process: Process, idle: Action) -> None:
        port = process.status.port or 0
        process.on_end = lambda *_: idle()  # it will not be missed, so it is not started again
        self._draining[process] = self._yard.loop.after(process.plan.grace_s, partial(self._cut, process, idle))
        self._door.when_idle(self._deploy, port, idle)

    def _cut(self, process: Process, idle: Action) -> None:
        idle()
        self._door.cut(self._deploy, process.status.port or 0)

    def _on_idle(self, process: Process, waiting: set[Process], drained: Action) -> None:
        if (alarm := self._draining.pop(process, None)) is None:
            return
        alarm.cancel()
        waiting.discard(process)
        process.stop(self._gone)
        if not waiting:
            drained()
