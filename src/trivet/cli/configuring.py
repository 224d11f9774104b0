"""`config set`, `config unset` and `config mark`: one release each, however many keys."""

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from trivet.cli import suggestions
from trivet.cli.deploying import print_released
from trivet.cli.options import Command, Manner, deploy_options, manner_options
from trivet.cli.output import print_json
from trivet.cli.place import named_deploy
from trivet.cli.plans import show_plan
from trivet.errors import InputError
from trivet.flows.dotenv import parse_dotenv
from trivet.flows.reconfigure import Changes, Reconfigured, plan_changes, reconfigure
from trivet.model.config import Marking, parse_config
from trivet.model.names import Deploy


def mark_options(command: Command) -> Command:
    """`--secret`, `--live` and their opposites: None where nothing is said."""
    secret = click.option(
        "--secret/--no-secret", default=None, help="Never show these values again; or show them on request again."
    )
    live = click.option(
        "--live/--no-live",
        default=None,
        help="A rollback leaves these values as they are; or brings old ones back again.",
    )
    return secret(live(command))


def _marking(keys: Iterable[str], secret: bool | None, live: bool | None) -> Marking:
    named = tuple(keys)
    return Marking(
        secret={} if secret is None else dict.fromkeys(named, secret),
        live={} if live is None else dict.fromkeys(named, live),
    )


@click.command("set")
@click.argument("assignments", nargs=-1, metavar="KEY=VALUE...")
@click.option(
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Also take all keys of a .env file.",
)
@mark_options
@deploy_options
@manner_options
def set_(
    assignments: tuple[str, ...],
    file: Path | None,
    secret: bool | None,
    live: bool | None,
    app: str | None,
    deploy_name: str,
    manner: Manner,
) -> int | None:
    """Set keys, all in one new release.

    KEY=VALUE shows in the shell's history, and in `ps` while the command runs. For what must not, KEY alone asks for the
    value on a terminal, without showing it, and KEY=- takes it from standard input; one newline at its end is dropped.
    KEY= sets an empty value.

    --secret and --live mark all keys of this command; a key keeps its marks when it is set again. If the app does not
    come up with the new config, the old release goes on serving with the old config.

    \b
    Examples:
      trivet config set DEBUG=1 WORKERS=4
      trivet config set --secret TOKEN
      trivet config set --secret --live TOKEN=- < token.txt
      trivet config set --file production.env
    """
    deploy = named_deploy(app, deploy_name)
    values: dict[str, str] = {}
    if file is not None:
        values.update(parse_dotenv(file.read_text(), file.name))
    values.update(_parse_assignments(assignments))
    if not values:
        raise click.UsageError("Nothing to set. Give KEY=VALUE, or --file.")
    return _reconfigure(Changes(deploy, values, _marking(values, secret, live), manner.terms()), manner)


@click.command("mark")
@click.argument("keys", nargs=-1, required=True, shell_complete=suggestions.keys)
@mark_options
@deploy_options
@manner_options
def mark(
    keys: tuple[str, ...],
    secret: bool | None,
    live: bool | None,
    app: str | None,
    deploy_name: str,
    manner: Manner,
) -> int | None:
    """Mark keys as secret or live, or take the marks off, in one new release.

    Nobody is shown the value of a secret key again; whoever may run commands in the app's environment still has it. A live
    key, such as a password that was changed at the database, keeps its present value in a rollback.

    \b
    Examples:
      trivet config mark DATABASE_URL --secret --live
      trivet config mark DATABASE_URL --no-live
    """
    if secret is None and live is None:
        raise click.UsageError("Nothing to mark. Give --secret, --live, --no-secret or --no-live.")
    deploy = named_deploy(app, deploy_name)
    return _reconfigure(Changes(deploy, marking=_marking(keys, secret, live), terms=manner.terms()), manner)


@click.command("unset")
@click.argument("keys", nargs=-1, required=True, shell_complete=suggestions.keys)
@deploy_options
@manner_options
def unset(
    keys: tuple[str, ...],
    app: str | None,
    deploy_name: str,
    manner: Manner,
) -> int | None:
    """Take keys away, all in one new release.

    \b
    Examples:
      trivet config unset DEBUG WORKERS
    """
    deploy = named_deploy(app, deploy_name)
    return _reconfigure(Changes(deploy, dict.fromkeys(keys), terms=manner.terms()), manner)


def _reconfigure(changes: Changes, manner: Manner) -> int | None:
    if manner.only_plan:
        planned = plan_changes(manner.installation, changes).plan
        return show_plan(manner.installation, planned, manner.expect, as_json=manner.as_json)
    with manner.view as progress:
        done = reconfigure(manner.installation, changes, progress)
    print_reconfigured(changes.deploy, done, as_json=manner.as_json)
    return None


def _parse_assignments(assignments: tuple[str, ...]) -> dict[str, str]:
    values: dict[str, str | None] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals and not sys.stdin.isatty():
            raise InputError(
                f"{key!r} has no value.",
                hint="Write KEY=VALUE; KEY= for an empty value, KEY=- for standard input. "
                "On a terminal, KEY alone asks for the value.",
            )
        if key in values:
            raise InputError(f"{key} is given twice.", hint="Give each key once. Nothing was changed.")
        values[key] = value if equals else None
    return _ask(_read_standard_input(values))


def _read_standard_input(values: dict[str, str | None]) -> dict[str, str | None]:
    from_input = [key for key, value in values.items() if value == "-"]
    if len(from_input) > 1:
        raise InputError(
            f"Only one key can be read from standard input, not {', '.join(from_input)}.",
            hint="Set them one after the other, or use --file.",
        )
    return {**values, **{key: sys.stdin.read().removesuffix("\n") for key in from_input}}


def _ask(values: dict[str, str | None]) -> dict[str, str]:
    """The values, with those that were left out as the person types them, unseen."""
    parse_config(dict.fromkeys(values, ""))  # before anybody types a value for a key that cannot be
    return {
        key: click.prompt(f"Value of {key}", hide_input=True, err=True) if value is None else value
        for key, value in values.items()
    }


def print_reconfigured(deploy: Deploy, done: Reconfigured, *, as_json: bool) -> None:
    """The last line of whatever changed config: what serves with it, or that nothing does yet."""
    if done.released is not None:
        print_released(done.released, as_json=as_json)
    elif as_json:
        print_json({"app": deploy.app, "deploy": deploy.name, "release": None, "changed": bool(done.change)})
    elif done.change:
        click.echo(f"{deploy} has no good release yet; its first deploy will use this config")
    else:
        click.echo(f"{deploy} has these values already; nothing changed")
