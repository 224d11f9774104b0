"""Options that many commands share, parsed once into names and values."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from trivet.cli import suggestions
from trivet.cli.output import ProgressView, progress_view
from trivet.cli.place import installation
from trivet.flows.installation import Installation
from trivet.flows.leftovers import clear_killed_builds
from trivet.model.frozen import frozen
from trivet.model.names import DEFAULT_DEPLOY
from trivet.model.plan import Terms

Command = TypeVar("Command", bound=Callable[..., Any])

_LONGEST_REASON = 1000  # a line of the journal stays a line


class ReleaseNumber(click.ParamType[int]):
    """A release, `v3` or `3`."""

    name = "vN"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in suggestions.releases(ctx, param, incomplete)]

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
        shell_complete=suggestions.apps,
        help="The app; default: told by the folder (trivet.toml, or the repository's name).",
    )(command)


def deploy_options(command: Command) -> Command:
    """`-a APP` and `-d DEPLOY`."""
    option = click.option(
        "-d",
        "--deploy",
        "deploy_name",
        metavar="NAME",
        default=DEFAULT_DEPLOY,
        show_default=True,
        help="The deploy.",
        shell_complete=suggestions.deploys,
    )
    return app_option(option(command))


def only_deploy_option(what: str) -> Callable[[Command], Command]:
    """`-d DEPLOY` of a command that shows all deploys of an app without it; `what` is its help."""
    return click.option("-d", "--deploy", "deploy_name", metavar="NAME", shell_complete=suggestions.deploys, help=what)


def wait_option(command: Command) -> Command:
    """`--no-wait`."""
    return click.option(
        "--no-wait", is_flag=True, help="End at once with status 75 if another command is at work on the deploy."
    )(command)


def sign_option(what: str) -> Callable[[Command], Command]:
    """`--sign [KEYFILE]`: None without it, "" without a file."""
    return click.option(
        "--sign",
        "sign_with",
        is_flag=False,
        flag_value="",
        metavar="[KEYFILE]",
        help=f"Sign {what} with this SSH key; default: git's user.signingKey, else the agent's first.",
    )


def sign_release_option(command: Command) -> Command:
    """`--sign [KEYFILE]`, of what makes a release."""
    return sign_option("the release, and the build that is deployed,")(command)


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


def reason_option(command: Command) -> Command:
    """`-m TEXT`, of what makes no release."""
    return click.option(
        "-m", "--message", "reason", metavar="TEXT", default="", callback=_check_length, help="Why, for `trivet log`."
    )(command)


def _check_length(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if len(value) > _LONGEST_REASON:
        raise click.BadParameter(f"at most {_LONGEST_REASON} characters, not {len(value)}.", ctx, param)
    return value


def again_option(command: Command) -> Command:
    """`--again REASON`."""
    return click.option(
        "--again", metavar="REASON", default="", help="Release a build that a rollback has left all the same; why."
    )(command)


class PlanHash(click.ParamType[str]):
    """The hash of a plan."""

    name = "HASH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if re.fullmatch(r"[0-9a-f]{32}", str(value)) is None:
            self.fail(f"{value!r} is not the hash of a plan, which is 32 hex digits. --plan shows it.", param, ctx)
        return str(value)


def expect_option(command: Command) -> Command:
    """`--expect HASH`."""
    return click.option(
        "--expect",
        type=PlanHash(),
        metavar="HASH",
        help="End with status 32 and change nothing if the plan has another hash by now.",
    )(command)


def plan_option(command: Command) -> Command:
    """`--plan`."""
    return click.option(
        "--plan", "only_plan", is_flag=True, help="Show what would happen, and the plan's hash; change nothing."
    )(command)


@frozen
class Manner:
    """How a command that makes a release is to go about it: the options that all of them share."""

    message: str
    no_wait: bool
    verbose: bool
    quiet: bool
    as_json: bool
    only_plan: bool
    expect: str | None
    sign_with: str | None

    @property
    def installation(self) -> Installation:
        """The installation to work on."""
        return installation(no_wait=self.no_wait)

    def terms(self, again: str = "") -> Terms:
        """On what terms the command is to act."""
        return Terms(self.message, self.expect, again, self.sign_with)

    @property
    def view(self) -> ProgressView:
        """How progress is shown."""
        return progress_view(verbose=self.verbose, quiet=self.quiet)


def manner_options(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """`-m`, `--plan`, `--expect`, `--sign`, `--no-wait`, `-v`, `-q` and `--json`, handed to the command as one `manner`."""

    @message_option
    @plan_option
    @expect_option
    @sign_release_option
    @wait_option
    @progress_options
    @json_option
    @wraps(command)
    def with_manner(
        *,
        message: str,
        only_plan: bool,
        expect: str | None,
        sign_with: str | None,
        no_wait: bool,
        verbose: bool,
        quiet: bool,
        as_json: bool,
        **others: Any,
    ) -> int | None:
        manner = Manner(message, no_wait, verbose, quiet, as_json, only_plan, expect, sign_with)
        if not only_plan:
            clear_killed_builds(manner.installation)
        return command(**others, manner=manner)

    return with_manner


def view(verbose: bool, quiet: bool) -> ProgressView:
    """How this command's progress is shown."""
    return progress_view(verbose=verbose, quiet=quiet)
