"""Scale, restart, stop, start: another formation, the same release. None of these makes a release.

A supervisor that is gone is started first. The caller has restored the environments.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from trivet.errors import Interrupted
from trivet.flows.installation import Installation, Progress
from trivet.flows.supervision import ensure_supervisor
from trivet.model.formation import Formation
from trivet.model.names import Deploy
from trivet.model.process import runnable
from trivet.run import Machine


def scale(installation: Installation, deploy: Deploy, changes: Mapping[str, int], progress: Progress) -> Formation:
    """That many processes of these types run. Raises: UnknownProcess, RunError."""
    with _asking(installation, deploy, "scale", progress) as machine:
        ensure_supervisor(machine, installation, progress)
        progress.step("run", f"scaling {deploy}")
        return machine.scale(deploy, changes, installation.by)


def restart(installation: Installation, deploy: Deploy, process: str | None, progress: Progress) -> None:
    """All processes of the deploy (or this type or process) are new ones of the same release. Raises: RunError."""
    with _asking(installation, deploy, "restart", progress) as machine:
        ensure_supervisor(machine, installation, progress)
        progress.step("run", f"restarting {process or deploy}")
        machine.restart(deploy, process, installation.by)


def stop(installation: Installation, deploy: Deploy, progress: Progress) -> None:
    """No process of the deploy runs, until `start`; its address answers 503. None is started in order to be stopped."""
    with _asking(installation, deploy, "stop", progress) as machine:
        progress.step("run", f"stopping {deploy}")
        machine.stop(deploy, installation.by)


def start(installation: Installation, deploy: Deploy, progress: Progress) -> None:
    """The deploy's formation runs again."""
    with _asking(installation, deploy, "start", progress) as machine:
        ensure_supervisor(machine, installation, progress)
        progress.step("run", f"starting {deploy}")
        machine.start(deploy, installation.by)


@contextmanager
def _asking(installation: Installation, deploy: Deploy, what: str, progress: Progress) -> Iterator[Machine]:
    """The machine, while nobody else changes the deploy.

    Raises: Busy, SupervisorUnreachable; Interrupted, which says what is meant to run then: what was begun is undone, unless
    it had taken over.
    """
    with installation.working_on(deploy, what, progress):
        machine = Machine(installation.home)
        try:
            yield machine
        except KeyboardInterrupt as interrupt:
            machine.abort(deploy)
            raise _interrupted(machine, deploy) from interrupt


def _interrupted(machine: Machine, deploy: Deploy) -> Interrupted:
    meant = "is stopped" if machine.is_stopped(deploy) else f"is meant to run {_counts(machine, deploy)}"
    return Interrupted(f"Interrupted; {deploy} {meant}.", hint="`trivet ps` shows what runs now.")


def _counts(machine: Machine, deploy: Deploy) -> str:
    """As `trivet scale` shows them."""
    number, formation = machine.current(deploy), machine.formation(deploy)
    types = runnable(machine.process_types(deploy, number)) if number else ()
    return " ".join(f"{each.name}={formation.count(each.name)}" for each in types) or "nothing"
