"""Supervision: the supervisor runs before it is asked for anything, and a person sees that it was started."""

from trivet.flows.installation import Installation, Progress
from trivet.run import Machine


def ensure_supervisor(machine: Machine, installation: Installation, progress: Progress) -> bool:
    """The supervisor runs, with all that ran before; False: it did already. What is not started with it is told.

    The caller has restored the environments. Raises: CannotSeal, SupervisorUnreachable.
    """
    if machine.is_up():
        return False
    altered = machine.up(installation.by)
    count = len(machine.processes(None))
    progress.step("run", f"started the supervisor{f', and with it {count} processes that ran before' if count else ''}")
    for other, error in altered.items():
        progress.notice(f"{other} was not started. {error.message}")
    return True
