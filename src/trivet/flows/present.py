"""What is true of a deploy right now, in a sentence: for errors that must say what became of what ran before."""

from collections.abc import Iterable

from trivet.errors import UnknownProcess
from trivet.model.names import Deploy
from trivet.model.process import ProcessType, find_process_type, runnable
from trivet.model.run import Means, ProcessState, ProcessStatus
from trivet.run import Machine


def describe_present(machine: Machine, deploy: Deploy, *, since: str | None = None, went_back: bool = False) -> str:
    """What serves, without a full stop: "v3 still serves, untouched".

    `since` is when the release began that has failed: what must not run twice may have been ended for it. `went_back`: that
    release had taken over.
    """
    number = machine.current(deploy)
    if number is None:
        return "nothing ran before, and nothing runs now"
    running = [status for status in machine.processes(deploy) if status.state is ProcessState.RUNNING]
    if running:
        serves = f"v{number} {'serves again' if went_back else 'still serves'}"
        anew = _started_anew(machine.process_types(deploy, number), running, since) if since is not None else ()
        if not anew:
            return f"{serves}, untouched"
        return f"{serves}; {' and '.join(anew)} had to end, and {'was' if len(anew) == 1 else 'were'} started again"
    if not machine.is_up():
        return f"nothing runs, since the supervisor is down; `trivet up` brings v{number} back"
    return f"v{number} is still the current release; no process of it runs, as before"


def _started_anew(types: Iterable[ProcessType], running: Iterable[ProcessStatus], since: str) -> tuple[str, ...]:
    alone = {process.name for process in types if not process.overlaps}
    return tuple(each.process for each in running if each.process.rpartition(".")[0] in alone and each.since > since)


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
