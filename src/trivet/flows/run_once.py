"""Run once: a single attached process of a release, in its environment and behind its walls."""

from collections.abc import Sequence

from trivet.errors import NothingReleased
from trivet.flows.installation import Installation
from trivet.model.names import Deploy
from trivet.run import Machine


def run_once(installation: Installation, deploy: Deploy, command: Sequence[str], number: int | None) -> int:
    """The exit status of the command, run in the release's environment (None: the running release).

    Raises: NothingReleased, CannotSeal, MachineError.
    """
    machine = Machine(installation.home)
    chosen = number or machine.current(deploy)
    if chosen is None:
        raise NothingReleased(f"{deploy} has no release to run in.", hint="Deploy first: trivet deploy")
    return machine.run_once(deploy, chosen, tuple(command))
