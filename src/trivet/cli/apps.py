"""`apps`: list, destroy."""

import sys

import click

from trivet.cli import suggestions
from trivet.cli.documents import deploy_document
from trivet.cli.options import json_option, message_option, view, wait_option
from trivet.cli.output import age, print_json, print_notes, print_table
from trivet.cli.place import installation
from trivet.errors import InputError
from trivet.flows.apps import destroy_app
from trivet.flows.overview import DeployOverview, list_deploys, list_troubles
from trivet.model.names import parse_app_name


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def apps(ctx: click.Context, as_json: bool) -> None:
    """List the apps and their deploys.

    \b
    Examples:
      trivet apps
      trivet apps destroy shop
    """
    if ctx.invoked_subcommand is not None:
        return
    place = installation()
    found = list_deploys(place)
    if as_json:
        print_json([deploy_document(overview) for overview in found])
        return
    print_table(
        ("APP", "DEPLOY", "RELEASE", "COMMIT", "PROCESSES", "ADDRESS", "AGE"),
        [_row(overview) for overview in found],
        nothing="No apps yet. In an app's repository, `trivet deploy` makes one.",
    )
    print_notes(list_troubles(place))


@apps.command("destroy")
@click.argument("name", shell_complete=suggestions.apps)
@click.option("--confirm", metavar="NAME", help="The app's name once more, instead of being asked for it.")
@message_option
@wait_option
def destroy(name: str, confirm: str | None, message: str, no_wait: bool) -> None:
    """End an app: its processes, its builds, its config and its STORAGE are removed. The ledger stays.

    Asks for the app's name.

    \b
    Examples:
      trivet apps destroy shop
      trivet apps destroy shop --confirm shop
    """
    app = parse_app_name(name)
    if confirm is None and sys.stdin.isatty():
        confirm = click.prompt(f"This removes {app}, all its deploys and their storage. Type its name", err=True)
    if confirm != app:
        raise InputError(
            "The name was not confirmed; nothing was removed.", hint=f"Type it when asked, or give --confirm {app}."
        )
    with view(verbose=False, quiet=False) as progress:
        gone = destroy_app(installation(no_wait=no_wait), app, message, progress)
    click.echo(f"{app} is destroyed: {', '.join(deploy.name for deploy in gone)}")


def _row(overview: DeployOverview) -> tuple[str, ...]:
    return (
        overview.deploy.app,
        overview.deploy.name,
        f"v{overview.release}" if overview.release else "-",
        f"{overview.commit[:8]} {overview.subject}" if overview.commit else "-",
        "stopped" if overview.is_stopped else f"{overview.running}/{overview.wanted}",
        overview.address.url if overview.address else "-",
        age(overview.created_at) if overview.created_at else "-",
    )


COMMANDS = (apps,)
