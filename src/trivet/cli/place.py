"""Where a command is typed: the installation it works on, and the app and deploy that are meant."""

import os
from pathlib import Path

from trivet.flows.installation import Installation, open_installation
from trivet.flows.locate import locate_app
from trivet.model.names import AppName, Deploy, parse_deploy_name


def installation(*, no_wait: bool = False, reason: str = "") -> Installation:
    """The installation that this command works on."""
    return open_installation(os.environ, wait=not no_wait, reason=reason)


def named_app(app: str | None) -> AppName:
    """The app that is meant."""
    return locate_app(Path.cwd(), app)


def named_deploy(app: str | None, deploy_name: str) -> Deploy:
    """The deploy that is meant, whether or not it exists yet."""
    return Deploy(named_app(app), parse_deploy_name(deploy_name))


def known_app(place: Installation, app: str | None) -> AppName:
    """The app that is meant, which has a deploy. Raises: UnknownApp."""
    from trivet.flows.overview import check_app_known

    name = named_app(app)
    check_app_known(place, name)
    return name


def known_deploy(place: Installation, app: str | None, deploy_name: str) -> Deploy:
    """The deploy that is meant, which exists. Raises: UnknownApp."""
    from trivet.flows.overview import check_known

    deploy = named_deploy(app, deploy_name)
    check_known(place, deploy)
    return deploy
