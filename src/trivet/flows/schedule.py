"""Schedule: what a deploy runs at times, its runs, and a run now."""

from collections.abc import Callable

from trivet.flows.installation import Installation
from trivet.model.names import Deploy
from trivet.model.scheduled_run import Plight, ScheduledRun
from trivet.run import Machine


def list_schedule(installation: Installation, deploy: Deploy) -> tuple[Plight, ...]:
    """What the release that is meant to run has scheduled. Raises: NothingReleased, InvalidDocument, MachineError."""
    return Machine(installation.home).schedule(deploy)


def list_runs(installation: Installation, deploy: Deploy, name: str | None) -> tuple[ScheduledRun, ...]:
    """The runs of what is called so (None: of all), oldest first, those that go on last. Raises: MachineError."""
    return Machine(installation.home).scheduled_runs(deploy, name)


def run_now(installation: Installation, deploy: Deploy, name: str, started: Callable[[str], None]) -> ScheduledRun:
    """It was run, whatever the time; it goes on if we are interrupted. `started` hears which process it is.

    Raises: NothingReleased, AlteredLayer, UnknownProcess, Busy, RunError, SupervisorUnreachable.
    """
    machine = Machine(installation.home)
    machine.up(installation.by)
    return machine.run_scheduled(
        deploy, name, installation.by, lambda _, facts: started(f"{facts['process']} of v{facts['release']}")
    )
