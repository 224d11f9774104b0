"""`deploy`, and what is said of a release that was made."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import click

from trivet.cli.building import named_source
from trivet.cli.documents import released_document
from trivet.cli.options import (
    Manner,
    again_option,
    deploy_options,
    expect_option,
    json_option,
    manner_options,
    message_option,
    sign_release_option,
)
from trivet.cli.output import print_json
from trivet.cli.plans import show_plan
from trivet.flows import deploy as flow
from trivet.flows.releasing import Released
from trivet.model.names import Deploy, parse_deploy_name
from trivet.model.process import runnable

Command = TypeVar("Command", bound=Callable[..., Any])


def _what_options(command: Command) -> Command:
    """REV, and what else says what is to be deployed, where and how."""
    options = (
        click.argument("revision", default="HEAD", metavar="[REV]"),
        deploy_options,
        click.option(
            "--dir", "directory", metavar="FOLDER", help="The app's folder, for an app in a sub-folder of a repository."
        ),
        click.option(
            "--port", type=click.IntRange(1, 65535), help="Where the deploy is reached; kept across releases."
        ),
        click.option(
            "--host", metavar="ADDRESS", help="The address to listen on; default: 127.0.0.1, this machine only."
        ),
        click.option("--rebuild", is_flag=True, help="Build again even if this commit was built before."),
        again_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@_what_options
@click.option(
    "--watch",
    "watch_s",
    type=click.FloatRange(0, 86400),
    metavar="SECONDS",
    help="Stay so long after the switch; if the release fails meanwhile, roll back.",
)
@manner_options
def deploy(
    revision: str,
    app: str | None,
    deploy_name: str,
    directory: str | None,
    port: int | None,
    host: str | None,
    rebuild: bool,
    again: str,
    watch_s: float | None,
    manner: Manner,
) -> int | None:
    """Build a commit, release it, roll it out.

    REV is any revision that git understands; default: HEAD. Uncommitted changes are never part of it. Until the new release
    is ready, the old one serves; if anything fails, it goes on serving. With --watch, a release that crashes, restarts or
    fails its health check after the switch is rolled back: the deploy fails, and a new release is the one before again.

    \b
    Examples:
      trivet deploy
      trivet deploy v1.4.0 -d staging
      trivet deploy main --dir services/shop --port 8080 -m "new checkout"
      trivet deploy --watch 30
      trivet deploy --sign
      trivet deploy --plan
    """
    name, source = named_source(app, revision, directory)
    target = Deploy(name, parse_deploy_name(deploy_name))
    source = replace(source, rebuild=rebuild, sign_with=manner.sign_with)
    choice = flow.DeployChoice(manner.terms(again), host, port, watch_s)
    if manner.only_plan:
        planned = flow.plan_deploy(manner.installation, target, source, choice).plan
        return show_plan(manner.installation, planned, manner.expect, as_json=manner.as_json)
    with manner.view as progress:
        released = flow.deploy(manner.installation, target, source, choice, progress)
    print_released(released, as_json=manner.as_json)
    return None


@click.command()
@_what_options
@message_option
@expect_option
@sign_release_option
@json_option
@click.pass_context
def plan(ctx: click.Context, /, message: str, expect: str | None, as_json: bool, **what: Any) -> int | None:
    """Show what a deploy would do, and change nothing.

    What it shows ends with a hash: `trivet deploy --expect HASH` refuses if the plan has become another one. Ends with the
    status that the deploy would end with if something is in its way that can be told before. `--plan` shows the same of
    a rollback, a promotion and a change of config.

    \b
    Examples:
      trivet plan
      trivet plan v1.4.0 -d staging
      trivet rollback --plan
      trivet promote staging production --plan
      trivet config set DEBUG=1 --plan
    """
    answer: int | None = ctx.invoke(deploy, **what, message=message, only_plan=True, expect=expect, as_json=as_json)
    return answer


def print_released(released: Released, *, as_json: bool) -> None:
    """The last line of whatever made a release: what serves, and where."""
    release, address = released.release, released.address
    if as_json:
        print_json(released_document(released))
        return
    ledger = f" (ledger {released.checkpoint.short})" if released.checkpoint else ""
    if released.is_stopped:
        click.echo(
            f"{release.deploy} {release.name} is released, but the deploy is stopped: `trivet start` runs it{ledger}"
        )
        return
    if not released.processes:
        types = " ".join(f"{process.name}=1" for process in runnable(release.processes))
        click.echo(f"{release.deploy} {release.name} is released, but nothing runs: trivet scale {types}{ledger}")
        return
    where = f" at {click.style(address.url, bold=True)}" if address else ""
    click.echo(f"{release.deploy} {click.style(release.name, fg='green', bold=True)} is live{where}{ledger}")


COMMANDS = (deploy, plan)
