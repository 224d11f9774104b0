"""Scale, restart, stop, start: another formation, the same release. None of these makes a release."""

from collections.abc import Mapping

from trivet.errors import SupervisorUnreachable
from trivet.flows.installation import Installation, Progress
from trivet.model.formation import Formation
from trivet.model.names import Deploy
from trivet.run import Machine


def scale(installation: Installation, deploy: Deploy, changes: Mapping[str, int], progress: Progress) -> Formation:
    """That many processes of these types run. Raises: UnknownProcess, RunError."""
    with installation.working_on(deploy, "scale", progress):
        progress.step("run", f"scaling {deploy}")
        return _up(installation).scale(deploy, changes, installation.by)


def restart(installation: Installation, deploy: Deploy, process: str | None, progress: Progress) -> None:
    """All processes of the deploy (or this type or process) are new ones of the same release. Raises: RunError."""
    with installation.working_on(deploy, "restart", progress):
        progress.step("run", f"restarting {process or deploy}")
        _up(installation).restart(deploy, process, installation.by)


def stop(installation: Installation, deploy: Deploy, progress: Progress) -> None:
    """No process of the deploy runs, until `start`; its address answers 503."""
    with installation.working_on(deploy, "stop", progress):
        progress.step("run", f"stopping {deploy}")
        _up(installation).stop(deploy, installation.by)


def start(installation: Installation, deploy: Deploy, progress: Progress) -> None:
    """The deploy's formation runs again."""
    with installation.working_on(deploy, "start", progress):
        progress.step("run", f"starting {deploy}")
        _up(installation).start(deploy, installation.by)


def _up(installation: Installation) -> Machine:
    machine = Machine(installation.home)
    if not machine.is_up():
        raise SupervisorUnreachable(
            "The supervisor is not running, so nothing runs.",
            hint="`trivet up` starts it, and with it everything that ran before.",
        )
    return machine
