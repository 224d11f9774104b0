"""Schedule: what a deploy runs at times, its runs, and a run now."""

from collections.abc import Callable

from trivet.errors import UnknownProcess
from trivet.flows.installation import Installation
from trivet.model.names import Deploy
from trivet.model.scheduled_run import Plight, ScheduledRun
from trivet.run import Machine


def list_schedule(installation: Installation, deploy: Deploy) -> tuple[Plight, ...]:
    """What the release that is meant to run has scheduled. Raises: NothingReleased, InvalidDocument, MachineError."""
    return Machine(installation.home).schedule(deploy)


def list_runs(installation: Installation, deploy: Deploy, name: str | None) -> tuple[ScheduledRun, ...]:
    """The runs of what is called so (None: of all), oldest first, those that go on last.

    Raises: UnknownProcess, for a name that neither a run nor the present release knows; NothingReleased, MachineError.
    """
    machine = Machine(installation.home)
    runs = machine.scheduled_runs(deploy, name)
    if name is not None and not runs:
        _check_scheduled(machine, deploy, name)
    return runs


def _check_scheduled(machine: Machine, deploy: Deploy, name: str) -> None:
    known = [plight.scheduled.name for plight in machine.schedule(deploy)]
    if name not in known:
        raise UnknownProcess(f"{deploy} schedules no {name!r}.", hint=f"It schedules: {', '.join(known) or 'nothing'}.")


def run_now(installation: Installation, deploy: Deploy, name: str, started: Callable[[str], None]) -> ScheduledRun:
    """It was run, whatever the time; it goes on if we are interrupted. `started` hears which process it is.

    Raises: NothingReleased, AlteredLayer, UnknownProcess, Busy, RunError, SupervisorUnreachable.
    """
    machine = Machine(installation.home)
    machine.up(installation.by)
    return machine.run_scheduled(
        deploy, name, installation.by, lambda _, facts: started(f"{facts['process']} of v{facts['release']}")
    )
