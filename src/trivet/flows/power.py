"""Up and down: the supervisor of this machine, started and stopped in the open."""

from collections.abc import Mapping
from dataclasses import dataclass

from trivet.errors import AlteredLayer
from trivet.flows.installation import Installation
from trivet.model.names import Deploy
from trivet.model.run import ProcessStatus
from trivet.run import Machine


@dataclass(frozen=True, slots=True)
class Up:
    """What runs after an `up`, and the deploys that were not started, since their build was altered."""

    processes: tuple[ProcessStatus, ...]
    altered: Mapping[Deploy, AlteredLayer]


def up(installation: Installation) -> Up:
    """The supervisor runs, and so does everything that ran before and is still what was built. Raises: RunError."""
    machine = Machine(installation.home)
    altered = machine.up(installation.by)
    return Up(machine.processes(None), altered)


def run_in_foreground(installation: Installation) -> None:
    """This process is the supervisor until it ends: for init systems. Raises: RunError."""
    Machine(installation.home).run_foreground(installation.by)


def down(installation: Installation) -> bool:
    """Nothing of Trivet runs; the next `up` brings back what ran. False: nothing ran in the first place."""
    machine = Machine(installation.home)
    was_running = machine.is_up() or bool(machine.processes(None))
    machine.down(installation.by)
    return was_running
