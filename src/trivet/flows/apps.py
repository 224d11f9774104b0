"""Apps destroyed: their processes, builds, config and storage are gone; the ledger keeps that they were there."""

from contextlib import ExitStack

from trivet.build import remove_builds
from trivet.errors import UnknownApp
from trivet.flows import domains
from trivet.flows.installation import Installation, Progress
from trivet.model.names import AppName, Deploy
from trivet.model.release import Act
from trivet.release import Ledger
from trivet.run import Machine


def destroy_app(installation: Installation, app: AppName, reason: str, progress: Progress) -> tuple[Deploy, ...]:
    """Nothing of the app runs or is kept, but the ledger's entries; what was destroyed. Raises: UnknownApp, RunError."""
    with Ledger(installation.home) as ledger:
        deploys = tuple(deploy for deploy in ledger.deploys() if deploy.app == app)
        if not deploys:
            raise UnknownApp(f"There is no app {app!r}.", hint="`trivet apps` lists them.")
        with ExitStack() as locks:
            for deploy in deploys:
                locks.enter_context(installation.working_on(deploy, "apps destroy", progress))
            for deploy in deploys:
                progress.step("run", f"ending the processes of {deploy}")
                Machine(installation.home).destroy(deploy)
                ledger.destroy(deploy, Act(installation.actor, reason or f"destroy {app}"))
        remove_builds(installation.home, app)
    for deploy in deploys:
        domains.forget(installation, deploy, progress.notice)
    return deploys
