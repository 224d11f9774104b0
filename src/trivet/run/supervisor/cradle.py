"""Where the supervisor's processes are born, and looked after until each is its program."""

from trivet.host.birth import Births, Trace
from trivet.host.spawn import Child, Command, Confinement
from trivet.run.supervisor.loop import Loop

_LOOK_S, _LONGEST_S = 0.02, 2.0


class Cradle:
    """Of one supervisor."""

    def __init__(self, loop: Loop, births: Births) -> None:
        self._loop = loop
        self._births = births
        self._is_looking = False

    def spawn(self, command: Command, confinement: Confinement, trace: Trace) -> Child:
        """As `Births.spawn`. Raises: OSError."""
        child = self._births.spawn(command, confinement, trace)
        if child.playing is not None and not self._is_looking:
            self._look_again(_LOOK_S)
        return child

    def _look_again(self, wait_s: float) -> None:
        self._is_looking = True
        self._loop.after(wait_s, lambda: self._look(wait_s))

    def _look(self, waited_s: float) -> None:
        self._is_looking = False
        if not self._births.settle():
            self._look_again(min(2 * waited_s, _LONGEST_S))
