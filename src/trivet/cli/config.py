"""`config`: list, get, set, unset."""

import sys
from pathlib import Path

import click

from trivet.cli import suggestions
from trivet.cli.deploying import print_released
from trivet.cli.options import (
    Manner,
    deploy_options,
    json_option,
    manner_options,
)
from trivet.cli.output import print_json, print_table
from trivet.cli.place import installation, named_deploy
from trivet.errors import ConfigError, InputError
from trivet.flows.dotenv import parse_dotenv
from trivet.flows.planning import Terms
from trivet.flows.reconfigure import Changes, Reconfigured, read_config, reconfigure
from trivet.model.names import Deploy

_MASK = "••••••••"


@click.group(invoke_without_command=True)
@deploy_options
@click.option("--reveal", is_flag=True, help="Show the values.")
@json_option
@click.pass_context
def config(ctx: click.Context, app: str | None, deploy_name: str, reveal: bool, as_json: bool) -> None:
    """List the config of a deploy: its environment variables.

    Values are masked unless --reveal is given.

    \b
    Examples:
      trivet config
      trivet config set DATABASE_URL=postgres://db/shop DEBUG=
      trivet config set TOKEN=- < token.txt
      trivet config get DEBUG
      trivet config unset DEBUG
    """
    if ctx.invoked_subcommand is not None:
        return
    deploy = named_deploy(app, deploy_name)
    values = read_config(installation(), deploy).config.values
    shown = {key: value if reveal else _MASK for key, value in values.items()}
    if as_json:
        print_json(shown)
        return
    print_table(
        ("KEY", "VALUE"), [(key, repr(value)[1:-1]) for key, value in shown.items()], nothing=f"{deploy} has no config."
    )


@config.command("get")
@click.argument("key", shell_complete=suggestions.keys)
@deploy_options
@json_option
def get(key: str, app: str | None, deploy_name: str, as_json: bool) -> None:
    """Print the value of one key.

    \b
    Examples:
      trivet config get DATABASE_URL
    """
    deploy = named_deploy(app, deploy_name)
    values = read_config(installation(), deploy).config.values
    if key not in values:
        raise ConfigError(f"{deploy} has no config key {key}.", hint=f"It has: {', '.join(values) or 'none'}.")
    if as_json:
        print_json({key: values[key]})
    else:
        click.echo(values[key])


@config.command("set")
@click.argument("assignments", nargs=-1, metavar="KEY=VALUE...")
@click.option(
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Also take all keys of a .env file.",
)
@deploy_options
@manner_options
def set_(
    assignments: tuple[str, ...],
    file: Path | None,
    app: str | None,
    deploy_name: str,
    manner: Manner,
) -> None:
    """Set keys, all in one new release.

    KEY=- takes the value from standard input, so that it shows neither in the shell's history nor in `ps`; one newline at its
    end is dropped. KEY= sets an empty value. If the app does not come up with the new config, the old release goes on
    serving with the old config.

    \b
    Examples:
      trivet config set DEBUG=1 WORKERS=4
      trivet config set TOKEN=- < token.txt
      trivet config set --file production.env
    """
    changes: dict[str, str | None] = {}
    if file is not None:
        changes.update(parse_dotenv(file.read_text(), file.name))
    changes.update(_parse_assignments(assignments))
    if not changes:
        raise click.UsageError("Nothing to set. Give KEY=VALUE, or --file.")
    deploy = named_deploy(app, deploy_name)
    with manner.view as progress:
        done = reconfigure(manner.installation, Changes(deploy, changes, Terms(manner.message)), progress)
    _print_done(deploy, done, as_json=manner.as_json)


@config.command("unset")
@click.argument("keys", nargs=-1, required=True, shell_complete=suggestions.keys)
@deploy_options
@manner_options
def unset(
    keys: tuple[str, ...],
    app: str | None,
    deploy_name: str,
    manner: Manner,
) -> None:
    """Take keys away, all in one new release.

    \b
    Examples:
      trivet config unset DEBUG WORKERS
    """
    deploy = named_deploy(app, deploy_name)
    with manner.view as progress:
        done = reconfigure(manner.installation, Changes(deploy, dict.fromkeys(keys), Terms(manner.message)), progress)
    _print_done(deploy, done, as_json=manner.as_json)


def _parse_assignments(assignments: tuple[str, ...]) -> dict[str, str]:
    values: dict[str, str] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise InputError(
                f"{key!r} has no value.", hint="Write KEY=VALUE; KEY= for an empty value, KEY=- for standard input."
            )
        if key in values:
            raise InputError(f"{key} is given twice.", hint="Give each key once. Nothing was changed.")
        values[key] = value
    return _read_standard_input(values)


def _read_standard_input(values: dict[str, str]) -> dict[str, str]:
    from_input = [key for key, value in values.items() if value == "-"]
    if len(from_input) > 1:
        raise InputError(
            f"Only one key can be read from standard input, not {', '.join(from_input)}.",
            hint="Set them one after the other, or use --file.",
        )
    return {**values, **{key: sys.stdin.read().removesuffix("\n") for key in from_input}}


def _print_done(deploy: Deploy, done: Reconfigured, *, as_json: bool) -> None:
    if done.released is not None:
        print_released(done.released, as_json=as_json)
    elif as_json:
        print_json({"app": deploy.app, "deploy": deploy.name, "release": None, "changed": bool(done.change)})
    elif done.change:
        click.echo(f"{deploy} has no good release yet; its first deploy will use this config")
    else:
        click.echo(f"{deploy} has these values already; nothing changed")


COMMANDS = (config,)
