"""`deploy`, `build`."""

from dataclasses import replace
from pathlib import Path

import click

from trivet.cli.checked import print_checked
from trivet.cli.documents import released_document
from trivet.cli.options import (
    Manner,
    app_option,
    deploy_options,
    json_option,
    manner_options,
    progress_options,
    sign_option,
    view,
)
from trivet.cli.output import print_json
from trivet.cli.place import installation
from trivet.flows import deploy as flow
from trivet.flows.locate import locate, locate_app
from trivet.flows.releasing import Released
from trivet.model.names import Deploy, parse_deploy_name
from trivet.model.process import runnable


def _source(revision: str, directory: str | None) -> flow.BuildChoice:
    place = locate(Path.cwd(), directory)
    return flow.BuildChoice(place.repository, revision, place.directory)


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
    target = Deploy(locate_app(Path.cwd(), app, directory), parse_deploy_name(deploy_name))
    source = replace(_source(revision, directory), rebuild=rebuild, sign_with=sign_with)
    choice = flow.DeployChoice(manner.message, host, port)
    with manner.view as progress:
        released = flow.deploy(manner.installation, target, source, choice, progress)
    print_released(released, as_json=manner.as_json)


def print_released(released: Released, *, as_json: bool) -> None:
    """The last line of whatever made a release: what serves, and where."""
    release, address = released.release, released.address
    if as_json:
        print_json(released_document(released))
        return
    if released.is_stopped:
        click.echo(f"{release.deploy} {release.name} is released, but the deploy is stopped: `trivet start` runs it")
        return
    if not released.processes:
        types = " ".join(f"{process.name}=1" for process in runnable(release.processes))
        click.echo(f"{release.deploy} {release.name} is released, but nothing runs: trivet scale {types}")
        return
    where = f" at {click.style(address.url, bold=True)}" if address else ""
    click.echo(f"{release.deploy} {click.style(release.name, fg='green', bold=True)} is live{where}")


@click.command()
@click.argument("revision", default="HEAD", metavar="[REV]")
@app_option
@click.option(
    "--dir", "directory", metavar="FOLDER", help="The app's folder, for an app in a sub-folder of a repository."
)
@click.option("--rebuild", is_flag=True, help="Build again even if this commit was built before.")
@click.option("--check", is_flag=True, help="Build again from nothing, keep nothing of it, and say what differs.")
@sign_option
@progress_options
@json_option
def build(
    revision: str,
    app: str | None,
    directory: str | None,
    rebuild: bool,
    check: bool,
    sign_with: str | None,
    verbose: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Build a commit, without releasing it.

    With --check, a commit that was built already: its build is made again from nothing, with an empty cache, and compared. Ends
    with status 20 and names the files that differ if it is another.

    \b
    Examples:
      trivet build
      trivet build feature/cart --verbose
      trivet build --check v1.4.0
      trivet build --sign ~/.ssh/id_ed25519
    """
    name = locate_app(Path.cwd(), app, directory)
    source = replace(_source(revision, directory), rebuild=rebuild, sign_with=sign_with)
    if check:
        with view(verbose, quiet) as progress:
            checked = flow.check(installation(), name, source, progress)
        print_checked(checked, as_json=as_json)
        return
    with view(verbose, quiet) as progress:
        built = flow.build(installation(), name, source, progress)
    if as_json:
        print_json(built.build)
    else:
        click.echo(built.build.id)


COMMANDS = (deploy, build)
