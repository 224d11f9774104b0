"""`build`."""

from dataclasses import replace
from pathlib import Path

import click

from trivet.cli.options import app_option, json_option, progress_options, sign_option, view
from trivet.cli.output import print_json
from trivet.cli.place import installation
from trivet.flows import build as flow
from trivet.flows.locate import locate_source
from trivet.model.names import AppName


def named_source(app: str | None, revision: str, directory: str | None) -> tuple[AppName, flow.BuildChoice]:
    """The app that is meant, and what of it is to be built."""
    name, place = locate_source(Path.cwd(), app, directory)
    return name, flow.BuildChoice(place.repository, revision, place.directory)


@click.command()
@click.argument("revision", default="HEAD", metavar="[REV]")
@app_option
@click.option(
    "--dir", "directory", metavar="FOLDER", help="The app's folder, for an app in a sub-folder of a repository."
)
@click.option("--rebuild", is_flag=True, help="Build again even if this commit was built before.")
@click.option("--check", is_flag=True, help="Build again from nothing, keep nothing of it, and say what differs.")
@sign_option("the build")
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
    name, source = named_source(app, revision, directory)
    source = replace(source, rebuild=rebuild, sign_with=sign_with)
    if check:
        from trivet.cli.checked import print_checked

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


COMMANDS = (build,)
