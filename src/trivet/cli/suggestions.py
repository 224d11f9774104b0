"""What a shell offers when somebody presses Tab: the apps, deploys, releases, keys and process types that there are.

Every command has options of this kind, so a flow is imported when somebody does press Tab.
"""

from collections.abc import Callable, Iterable
from functools import wraps

import click

from trivet.cli.place import installation, named_deploy
from trivet.errors import TrivetError
from trivet.model.names import DEFAULT_DEPLOY, Deploy

Suggest = Callable[[click.Context, click.Parameter, str], list[str]]


def _quietly(find: Callable[[click.Context], Iterable[str]]) -> Suggest:
    """Those that begin as what was typed; nothing at all if anything is wrong, since Tab is no place for an error."""

    @wraps(find)
    def suggest(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        del param
        try:
            return [text for text in find(ctx) if text.startswith(incomplete)]
        except (TrivetError, OSError):
            return []

    return suggest


@_quietly
def apps(ctx: click.Context) -> Iterable[str]:
    """The apps."""
    from trivet.flows import overview

    del ctx
    return sorted({known.app for known in overview.known_deploys(installation())})


@_quietly
def deploys(ctx: click.Context) -> Iterable[str]:
    """The deploys of the app that is meant."""
    from trivet.flows import overview

    app = _deploy(ctx).app
    return [known.name for known in overview.known_deploys(installation()) if known.app == app]


@_quietly
def releases(ctx: click.Context) -> Iterable[str]:
    """The newest releases of the deploy."""
    from trivet.flows import overview

    return [record.release.name for record in overview.list_releases(installation(), _deploy(ctx), 20)]


@_quietly
def keys(ctx: click.Context) -> Iterable[str]:
    """The keys of the deploy's config."""
    from trivet.flows.reconfigure import read_config

    return read_config(installation(), _deploy(ctx)).config.values


@_quietly
def process_types(ctx: click.Context) -> Iterable[str]:
    """The process types of the running release."""
    from trivet.flows import overview

    return overview.show_formation(installation(), _deploy(ctx))


@_quietly
def counts(ctx: click.Context) -> Iterable[str]:
    """The formation, to be changed: `web=2`."""
    from trivet.flows import overview

    return [f"{name}={count}" for name, count in overview.show_formation(installation(), _deploy(ctx)).items()]


def _deploy(ctx: click.Context) -> Deploy:
    return named_deploy(ctx.params.get("app"), ctx.params.get("deploy_name") or DEFAULT_DEPLOY)
