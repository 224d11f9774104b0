"""What is true of a deploy right now, in a sentence: for errors that must say what became of what ran before."""

from trivet.errors import UnknownProcess
from trivet.model.names import Deploy
from trivet.model.process import ProcessType, find_process_type, runnable
from trivet.model.run import Means, ProcessState
from trivet.run import Machine


def describe_present(machine: Machine, deploy: Deploy) -> str:
    """What serves, without a full stop: "v3 still serves, untouched"."""
    number = machine.current(deploy)
    if number is None:
        return "nothing ran before, and nothing runs now"
    if any(status.state is ProcessState.RUNNING for status in machine.processes(deploy)):
        return f"v{number} still serves, untouched"
    if not machine.is_up():
        return f"nothing runs, since the supervisor is down; `trivet up` brings v{number} back"
    return f"v{number} is still the current release; no process of it runs, as before"


def tell_unheld(means: Means, process: ProcessType) -> str | None:
    """Which of the process type's limits these means do not enforce; None: there is none."""
    if not (unheld := means.unheld(process.limits)):
        return None
    what = f"{' and '.join(unheld)} of {process.name} {'is' if len(unheld) == 1 else 'are'} not limited"
    return f"{what}: this machine has no control groups for that (trivet doctor)"


def check_types_kept(
    machine: Machine, deploy: Deploy, old: tuple[ProcessType, ...], new: tuple[ProcessType, ...]
) -> None:
    """Raises: UnknownProcess if the new release lacks a process type that runs now: a typo in the Procfile, most likely."""
    formation = machine.formation(deploy)
    lost = [
        process.name
        for process in runnable(old)
        if formation.count(process.name) and not find_process_type(new, process.name)
    ]
    if lost:
        raise UnknownProcess(
            f"The new release has no process type {', '.join(lost)}, which {deploy} runs now.",
            hint="Look for a typo in the Procfile. If it is to go: "
            f"trivet scale {' '.join(f'{name}=0' for name in lost)}, then try again. Nothing was changed.",
        )
