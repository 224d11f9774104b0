"""`config`: list and get; and the group of the other commands about config."""

import click

from trivet.cli import suggestions
from trivet.cli.comparing import check, diff
from trivet.cli.configuring import mark, set_, unset
from trivet.cli.editing import edit
from trivet.cli.options import deploy_options, json_option
from trivet.cli.output import print_json, print_table
from trivet.cli.place import installation, named_deploy
from trivet.errors import ConfigError
from trivet.flows.reconfigure import read_config
from trivet.model.config import Config

_MASK = "••••••••"


@click.group(invoke_without_command=True)
@deploy_options
@click.option("--reveal", is_flag=True, help="Show the values.")
@json_option
@click.pass_context
def config(ctx: click.Context, app: str | None, deploy_name: str, reveal: bool, as_json: bool) -> None:
    """List the config of a deploy: its environment variables.

    Values are masked unless --reveal is given; those of keys that are marked secret always are.

    \b
    Examples:
      trivet config
      trivet config set DATABASE_URL=postgres://db/shop DEBUG=
      trivet config set --secret TOKEN
      trivet config get DEBUG
      trivet config unset DEBUG
      trivet config edit
    """
    if ctx.invoked_subcommand is not None:
        return
    deploy = named_deploy(app, deploy_name)
    listed = read_config(installation(), deploy).config
    if as_json:
        print_json({key: _document(listed, key, reveal=reveal) for key in listed.values})
        return
    rows = [(key, _shown(listed, key, reveal=reveal), ", ".join(listed.marks(key))) for key in listed.values]
    if not any(marks for _, _, marks in rows):
        print_table(("KEY", "VALUE"), [row[:2] for row in rows], nothing=f"{deploy} has no config.")
        return
    print_table(("KEY", "VALUE", "MARKS"), rows, nothing="")


@config.command("get")
@click.argument("key", shell_complete=suggestions.keys)
@deploy_options
@json_option
def get(key: str, app: str | None, deploy_name: str, as_json: bool) -> None:
    """Print the value of one key, unless it is marked secret.

    \b
    Examples:
      trivet config get DATABASE_URL
    """
    deploy = named_deploy(app, deploy_name)
    found = read_config(installation(), deploy).config
    if key not in found.values:
        raise ConfigError(f"{deploy} has no config key {key}.", hint=f"It has: {', '.join(found.values) or 'none'}.")
    if key in found.secret:
        raise ConfigError(
            f"{key} is marked secret, so its value is not shown.",
            hint="The app has it, and so has whoever may run a command in its environment: `trivet run env`.",
        )
    if as_json:
        print_json({key: found.values[key]})
    else:
        click.echo(found.values[key])


def _is_shown(listed: Config, key: str, *, reveal: bool) -> bool:
    return reveal and key not in listed.secret


def _shown(listed: Config, key: str, *, reveal: bool) -> str:
    return repr(listed.values[key])[1:-1] if _is_shown(listed, key, reveal=reveal) else _MASK


def _document(listed: Config, key: str, *, reveal: bool) -> dict[str, object]:
    """One key for programs: a value that is not shown is null."""
    value = listed.values[key] if _is_shown(listed, key, reveal=reveal) else None
    return {"value": value, "secret": key in listed.secret, "live": key in listed.live}


for command in (set_, unset, mark, edit, check, diff):
    config.add_command(command)

COMMANDS = (config,)
