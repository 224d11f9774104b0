"""`config edit`."""

import sys

import click

from trivet.cli.changes import config_lines
from trivet.cli.configuring import print_reconfigured
from trivet.cli.options import Manner, deploy_options, manner_options
from trivet.cli.output import print_error
from trivet.cli.place import named_deploy
from trivet.errors import InputError, TrivetError
from trivet.flows.edit_config import edit_config
from trivet.flows.reconfigure import reconfigure


@click.command()
@deploy_options
@manner_options
def edit(app: str | None, deploy_name: str, manner: Manner) -> None:
    """Edit the config in your editor; all changes become one release.

    Opens $VISUAL, else $EDITOR. The file is yours alone, in memory where the machine has a place for that, and gone
    afterwards. Values of secret keys do not stand in it. If you change nothing, or empty the file, nothing happens.

    \b
    Examples:
      trivet config edit
      EDITOR="code --wait" trivet config edit -d staging
    """
    deploy = named_deploy(app, deploy_name)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError("An editor needs a terminal.", hint="For programs: trivet config set --file FILE")
    edited = edit_config(manner.installation, deploy, manner.terms(), _ask_again)
    if edited is None:
        click.echo(f"{deploy}: nothing was changed")
        return
    if not (manner.quiet or manner.as_json):
        click.echo(config_lines(edited.decision.plan.config), err=True)
    with manner.view as progress:
        done = reconfigure(manner.installation, edited.changes, progress)
    print_reconfigured(deploy, done, as_json=manner.as_json)


def _ask_again(error: TrivetError) -> bool:
    print_error(error)
    return click.confirm("Edit again?", default=True, err=True)
