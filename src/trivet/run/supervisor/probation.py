"""The probation of a release that serves: watched for a while longer, because whoever deployed it wants to know."""

from collections.abc import Callable, Iterable
from functools import partial

from trivet.model.run import Failure
from trivet.run.log_files import last_lines
from trivet.run.supervisor.loop import Loop
from trivet.run.supervisor.process import Process
from trivet.run.supervisor.vigil import Vigil

_OUTPUT_LINES = 20


class Probation:
    """Watches these processes, which are kept alive all the same. `done` is told once: what went wrong first, or None.

    That one has crashed before is wrong, too.
    """

    def __init__(
        self, loop: Loop, processes: Iterable[Process], seconds: float, done: Callable[[Failure | None], None]
    ) -> None:
        self._processes = tuple(processes)
        self._done = done
        self._vigil = Vigil(loop, self._processes, seconds, self._fail, lambda: self._end(None))
        for process in self._processes:
            process.on_crash = self._on_crash
        crashed = next((process for process in self._processes if process.status.restarts), None)
        if crashed is not None:  # between the switch and now
            loop.soon(partial(self._on_crash, crashed, f"has crashed ({crashed.status.last_exit})"))

    def close(self) -> None:
        """It is over, and nothing went wrong."""
        self._end(None)

    def _on_crash(self, process: Process, how: str) -> None:
        self._fail(process, f"{process.plan.name} {how}")

    def _fail(self, process: Process, reason: str) -> None:
        self._end(Failure(reason, process.plan.name, last_lines(process.log, _OUTPUT_LINES)))

    def _end(self, failure: Failure | None) -> None:
        self._vigil.close()
        for process in self._processes:
            process.on_crash = None
        done, self._done = self._done, _nothing
        done(failure)


def _nothing(_: Failure | None) -> None:
    return
