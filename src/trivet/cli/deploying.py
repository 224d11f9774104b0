"""`deploy`, and what is said of a release that was made."""

from dataclasses import replace

import click

from trivet.cli.building import named_source
from trivet.cli.documents import released_document
from trivet.cli.options import Manner, again_option, deploy_options, manner_options, sign_option
from trivet.cli.output import print_json
from trivet.flows import deploy as flow
from trivet.flows.planning import Terms
from trivet.flows.releasing import Released
from trivet.model.names import Deploy, parse_deploy_name
from trivet.model.process import runnable


@click.command()
@click.argument("revision", default="HEAD", metavar="[REV]")
@deploy_options
@click.option(
    "--dir", "directory", metavar="FOLDER", help="The app's folder, for an app in a sub-folder of a repository."
)
@click.option("--port", type=click.IntRange(1, 65535), help="Where the deploy is reached; kept across releases.")
@click.option("--host", metavar="ADDRESS", help="The address to listen on; default: 127.0.0.1, this machine only.")
@click.option("--rebuild", is_flag=True, help="Build again even if this commit was built before.")
@sign_option
@again_option
@manner_options
def deploy(
    revision: str,
    app: str | None,
    deploy_name: str,
    directory: str | None,
    port: int | None,
    host: str | None,
    rebuild: bool,
    sign_with: str | None,
    again: str,
    manner: Manner,
) -> None:
    """Build a commit, release it, roll it out.

    REV is any revision that git understands; default: HEAD. Uncommitted changes are never part of it. Until the new release
    is ready, the old one serves; if anything fails, it goes on serving.

    \b
    Examples:
      trivet deploy
      trivet deploy v1.4.0 -d staging
      trivet deploy main --dir services/shop --port 8080 -m "new checkout"
      trivet deploy --sign
    """
    name, source = named_source(app, revision, directory)
    target = Deploy(name, parse_deploy_name(deploy_name))
    source = replace(source, rebuild=rebuild, sign_with=sign_with)
    choice = flow.DeployChoice(Terms(manner.message, again=again), host, port)
    with manner.view as progress:
        released = flow.deploy(manner.installation, target, source, choice, progress)
    print_released(released, as_json=manner.as_json)


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


COMMANDS = (deploy,)
