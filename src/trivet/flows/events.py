"""Events: what happens to processes and what people do to them, as the run stage's journals tell it. Reads only."""

from trivet.flows.installation import Installation
from trivet.flows.overview import check_app_known, check_known
from trivet.model.frozen import frozen
from trivet.model.names import AppName, Deploy, DeployName
from trivet.run import Journals


@frozen
class Scope:
    """Whose events: a deploy's, those of all deploys of an app (no `deploy`), or everybody's (no `app`)."""

    app: AppName | None = None
    deploy: DeployName | None = None

    def holds(self, deploy: Deploy) -> bool:
        return self.app in (None, deploy.app) and self.deploy in (None, deploy.name)


def open_journals(installation: Installation, scope: Scope) -> Journals:
    """The journals in scope, also those that are yet to come. Whoever calls closes them. Raises: UnknownApp."""
    if scope.app is not None and scope.deploy is not None:
        check_known(installation, Deploy(scope.app, scope.deploy))
    elif scope.app is not None:
        check_app_known(installation, scope.app)
    return Journals(installation.home, scope.holds)
