"""Options that many commands share, parsed once into names and values."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from trivet.cli.output import ProgressView, progress_view
from trivet.flows.installation import Installation, open_installation
from trivet.flows.locate import locate_app
from trivet.flows.overview import check_known
from trivet.model.names import DEFAULT_DEPLOY, AppName, Deploy, parse_deploy_name

Command = TypeVar("Command", bound=Callable[..., Any])


class ReleaseNumber(click.ParamType[int]):
    """A release, `v3` or `3`."""

    name = "vN"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"v?([1-9][0-9]{0,8})", str(value))
        if match is None:
            self.fail(f"{value!r} is not a release. Write v3 or 3; `trivet releases` lists them.", param, ctx)
        return int(match[1])


RELEASE = ReleaseNumber()


def app_option(command: Command) -> Command:
    """`-a APP`."""
    return click.option(
        "-a",
        "--app",
        metavar="APP",
        help="The app; default: told by the folder (trivet.toml, or the repository's name).",
    )(command)


def deploy_options(command: Command) -> Command:
    """`-a APP` and `-d DEPLOY`."""
    option = click.option(
        "-d", "--deploy", "deploy_name", metavar="NAME", default=DEFAULT_DEPLOY, show_default=True, help="The deploy."
    )
    return app_option(option(command))


def wait_option(command: Command) -> Command:
    """`--no-wait`."""
    return click.option(
        "--no-wait", is_flag=True, help="End at once with status 75 if another command is at work on the deploy."
    )(command)


def progress_options(command: Command) -> Command:
    """`-v` and `-q`."""
    verbose = click.option("-v", "--verbose", is_flag=True, help="Show every line that the app's commands write.")
    quiet = click.option("-q", "--quiet", is_flag=True, help="Show errors and results only.")
    return verbose(quiet(command))


def json_option(command: Command) -> Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")(command)


def message_option(command: Command) -> Command:
    """`-m TEXT`."""
    return click.option(
        "-m", "--message", metavar="TEXT", default="", help="Why, for the ledger; default: what was done."
    )(command)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a command that makes a release is to go about it: the options that all of them share."""

    message: str
    no_wait: bool
    verbose: bool
    quiet: bool
    as_json: bool

    @property
    def installation(self) -> Installation:
        """The installation to work on."""
        return installation(no_wait=self.no_wait)

    @property
    def view(self) -> ProgressView:
        """How progress is shown."""
        return progress_view(verbose=self.verbose, quiet=self.quiet)


def manner_options(command: Callable[..., None]) -> Callable[..., None]:
    """`-m`, `--no-wait`, `-v`, `-q` and `--json`, handed to the command as one `manner`."""

    @message_option
    @wait_option
    @progress_options
    @json_option
    @wraps(command)
    def with_manner(*, message: str, no_wait: bool, verbose: bool, quiet: bool, as_json: bool, **others: Any) -> None:
        command(**others, manner=Manner(message, no_wait, verbose, quiet, as_json))

    return with_manner


def installation(*, no_wait: bool = False) -> Installation:
    """The installation that this command works on."""
    return open_installation(os.environ, wait=not no_wait)


def named_app(app: str | None) -> AppName:
    """The app that is meant."""
    return locate_app(Path.cwd(), app)


def named_deploy(app: str | None, deploy_name: str) -> Deploy:
    """The deploy that is meant, whether or not it exists yet."""
    return Deploy(named_app(app), parse_deploy_name(deploy_name))


def known_deploy(place: Installation, app: str | None, deploy_name: str) -> Deploy:
    """The deploy that is meant, which exists. Raises: UnknownApp."""
    deploy = named_deploy(app, deploy_name)
    check_known(place, deploy)
    return deploy


def view(verbose: bool, quiet: bool) -> ProgressView:
    """How this command's progress is shown."""
    return progress_view(verbose=verbose, quiet=quiet)
