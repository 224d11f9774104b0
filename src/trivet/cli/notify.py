"""`notify`."""

import sys

import click

from trivet.cli import suggestions
from trivet.cli.options import json_option
from trivet.cli.output import print_json, print_table
from trivet.cli.place import installation, named_app
from trivet.flows.notify import send_test
from trivet.flows.outbox import count_waiting
from trivet.flows.subscribers import add_subscriber, find_subscriber, list_subscribers, remove_subscriber
from trivet.model.names import AppName, DeployName, parse_app_name, parse_deploy_name

_NUMBER = click.IntRange(1)


@click.group(invoke_without_command=True)
@click.option("--reveal", is_flag=True, help="Show the whole URLs: they may let somebody in.")
@json_option
@click.pass_context
def notify(ctx: click.Context, reveal: bool, as_json: bool) -> None:
    """List the URLs that are told what became of releases.

    Each gets a signed JSON body when a release has succeeded or failed. Who is told is a matter of this installation: nothing
    in a repository changes it.

    \b
    Examples:
      trivet notify
      trivet notify add https://hooks.example.org/trivet
      trivet notify add - -d production < url.txt
      trivet notify secret 1
      trivet notify test
      trivet notify remove 1
    """
    if ctx.invoked_subcommand is not None:
        return
    home = installation().home
    found = [(each, each.url if reveal else each.shown, count_waiting(home, each)) for each in list_subscribers(home)]
    if as_json:
        print_json(
            [
                {"number": each.number, "url": url, "app": each.app, "deploy": each.deploy, "waiting": waiting}
                for each, url, waiting in found
            ]
        )
        return
    print_table(
        ("NUMBER", "URL", "OF", "WAITING"),
        [(str(each.number), url, each.scope, str(waiting or "")) for each, url, waiting in found],
        nothing="Nobody is notified. `trivet notify add URL` has a URL told of releases.",
    )


@notify.command("add")
@click.argument("url")
@click.option("-a", "--app", metavar="APP", shell_complete=suggestions.apps, help="Only of this app; default: of all.")
@click.option("-d", "--deploy", "deploy_name", metavar="NAME", help="Only of this deploy of the app; default: of all.")
def add(url: str, app: str | None, deploy_name: str | None) -> None:
    """Have a URL told what becomes of releases.

    `-` as URL reads it from standard input: many such URLs let in whoever knows them.

    \b
    Examples:
      trivet notify add https://hooks.example.org/trivet
      trivet notify add - -a shop -d production
    """
    text = sys.stdin.read() if url == "-" else url
    added = add_subscriber(installation(), text, *_scope(app, deploy_name))
    click.echo(f"{added.number}: {added.shown} is told of the releases of {added.scope}")
    click.echo(f"`trivet notify secret {added.number}` prints what it can check the signatures with.", err=True)


@notify.command("remove")
@click.argument("number", type=_NUMBER)
def remove(number: int) -> None:
    """Tell a URL of nothing any more.

    \b
    Examples:
      trivet notify remove 1
    """
    removed = remove_subscriber(installation(), number)
    click.echo(f"{removed.number}: {removed.shown} is told of nothing any more")


@notify.command("secret")
@click.argument("number", type=_NUMBER)
def secret(number: int) -> None:
    """Print the secret that a URL's notifications are signed with.

    \b
    Examples:
      trivet notify secret 1
    """
    click.echo(find_subscriber(installation().home, number).secret)


@notify.command("test")
@click.argument("number", type=_NUMBER, required=False)
def test(number: int | None) -> None:
    """Send a test to all URLs, or to one, and what waits for them.

    \b
    Examples:
      trivet notify test
      trivet notify test 1
    """
    for each in send_test(installation(), number):
        click.echo(f"{each.number}: {each.shown} has taken it")


def _scope(app: str | None, deploy_name: str | None) -> tuple[AppName | None, DeployName | None]:
    if deploy_name is not None:
        return named_app(app), parse_deploy_name(deploy_name)
    return (parse_app_name(app) if app is not None else None), None


COMMANDS = (notify,)
