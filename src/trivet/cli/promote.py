"""`promote`."""

import click

from trivet.cli import suggestions
from trivet.cli.deploying import print_released
from trivet.cli.options import (
    Manner,
    again_option,
    app_option,
    manner_options,
)
from trivet.cli.place import known_deploy, named_app, named_deploy
from trivet.flows.planning import Terms
from trivet.flows.promote import Promotion
from trivet.flows.promote import promote as promote_flow
from trivet.model.names import parse_deploy_name


@click.command()
@click.argument("source", metavar="FROM", shell_complete=suggestions.deploys)
@click.argument("target", metavar="TO", shell_complete=suggestions.deploys)
@app_option
@again_option
@manner_options
def promote(
    source: str,
    target: str,
    app: str | None,
    again: str,
    manner: Manner,
) -> None:
    """Release in one deploy what serves in another.

    The same build, with the target's own config.

    \b
    Examples:
      trivet promote staging production
    """
    place = manner.installation
    name = named_app(app)
    origin = known_deploy(place, name, parse_deploy_name(source))
    with manner.view as progress:
        released = promote_flow(
            place, Promotion(origin, named_deploy(name, target), Terms(manner.message, again=again)), progress
        )
    print_released(released, as_json=manner.as_json)


COMMANDS = (promote,)
