"""Up and down: the supervisor of this machine, started and stopped in the open."""

from trivet.flows.installation import Installation
from trivet.model.run import ProcessStatus
from trivet.run import Machine


def up(installation: Installation) -> tuple[ProcessStatus, ...]:
    """The supervisor runs, and so does everything that ran before. Raises: RunError."""
    machine = Machine(installation.home)
    machine.up()
    return machine.processes(None)


def run_in_foreground(installation: Installation) -> None:
    """This process is the supervisor until it ends: for init systems. Raises: RunError."""
    Machine(installation.home).run_foreground()


def down(installation: Installation) -> bool:
    """Nothing of Trivet runs; the next `up` brings back what ran. False: nothing ran in the first place."""
    machine = Machine(installation.home)
    was_running = machine.is_up() or bool(machine.processes(None))
    machine.down()
    return was_running
