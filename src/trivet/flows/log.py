"""Log: the story of an app across its deploys, from the records of all three stages. Reads only."""

from collections.abc import Iterator

from trivet.build import list_attempts
from trivet.flows.installation import Installation
from trivet.flows.overview import check_known
from trivet.flows.story import merge
from trivet.flows.story.builds import tell_attempt
from trivet.flows.story.events import tell_events
from trivet.flows.story.ledger import tell_entries
from trivet.model.names import DEFAULT_DEPLOY, AppName, Deploy, DeployName
from trivet.model.story import Line, Window
from trivet.release import Ledger
from trivet.run import Machine


def read_log(installation: Installation, app: AppName, window: Window) -> tuple[Line, ...]:
    """What happened to the app, newest first; of what was destroyed, what the ledger keeps.

    Raises: UnknownApp, if nothing is known of the app, or of the one deploy that is asked for.
    """
    lines = merge(_lines(installation, app, window), window) if installation.home.database.exists() else ()
    if not any(window.deploy in (None, line.deploy) for line in lines):
        check_known(installation, Deploy(app, DeployName(window.deploy or DEFAULT_DEPLOY)))
    return lines


def _lines(installation: Installation, app: AppName, window: Window) -> Iterator[Line]:
    home, machine = installation.home, Machine(installation.home)
    yield from map(tell_attempt, list_attempts(home, app, window.limit))
    with Ledger(home) as ledger:
        yield from tell_entries(ledger.story(app), window)
        deploys = [deploy for deploy in ledger.deploys() if deploy.app == app]
    for deploy in deploys:
        yield from tell_events(deploy, machine.events(deploy))
