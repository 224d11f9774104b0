"""Load: what the processes use, and what comes in at the front door. Reads only."""

from trivet.flows.installation import Installation
from trivet.model.load import Load
from trivet.model.names import Deploy
from trivet.run import Machine
from trivet.run.readings import Reading, compare, take_reading


class Meter:
    """The processes of a deploy (None: of all), read again and again."""

    def __init__(self, installation: Installation, deploy: Deploy | None) -> None:
        self._home = installation.home
        self._machine = Machine(installation.home)
        self._deploy = deploy
        self._before: Reading = self._read()

    def read(self) -> Load:
        """The load since the last time, or since the meter was made."""
        before, self._before = self._before, self._read()
        return compare(before, self._before)

    def _read(self) -> Reading:
        return take_reading(self._home, self._machine.processes(self._deploy))
