"""`deploy`, `build`, `builds`."""

import sys
from pathlib import Path

import click

from trivet.cli.documents import released_document
from trivet.cli.options import (
    Manner,
    app_option,
    deploy_options,
    json_option,
    manner_options,
    progress_options,
    view,
)
from trivet.cli.output import age, print_facts, print_json, print_table, size, visible
from trivet.cli.place import installation, named_app
from trivet.flows import deploy as flow
from trivet.flows.locate import locate, locate_app
from trivet.flows.overview import show_build, show_build_log, show_builds
from trivet.flows.releasing import Released
from trivet.model.build import Build
from trivet.model.names import Deploy, parse_deploy_name
from trivet.model.process import runnable


def _source(revision: str, directory: str | None, *, rebuild: bool) -> flow.BuildChoice:
    place = locate(Path.cwd(), directory)
    return flow.BuildChoice(place.repository, revision, place.directory, rebuild)


@click.command()
@click.argument("revision", default="HEAD", metavar="[REV]")
@deploy_options
@click.option(
    "--dir", "directory", metavar="FOLDER", help="The app's folder, for an app in a sub-folder of a repository."
)
@click.option("--port", type=click.IntRange(1, 65535), help="Where the deploy is reached; kept across releases.")
@click.option("--host", metavar="ADDRESS", help="The address to listen on; default: 127.0.0.1, this machine only.")
@click.option("--rebuild", is_flag=True, help="Build again even if this commit was built before.")
@manner_options
def deploy(
    revision: str,
    app: str | None,
    deploy_name: str,
    directory: str | None,
    port: int | None,
    host: str | None,
    rebuild: bool,
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
    """
    target = Deploy(locate_app(Path.cwd(), app, directory), parse_deploy_name(deploy_name))
    source = _source(revision, directory, rebuild=rebuild)
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
@progress_options
@json_option
def build(
    revision: str, app: str | None, directory: str | None, rebuild: bool, verbose: bool, quiet: bool, as_json: bool
) -> None:
    """Build a commit, without releasing it.

    \b
    Examples:
      trivet build
      trivet build feature/cart --verbose
    """
    name = locate_app(Path.cwd(), app, directory)
    with view(verbose, quiet) as progress:
        built = flow.build(installation(), name, _source(revision, directory, rebuild=rebuild), progress)
    if as_json:
        print_json(built.build)
    else:
        click.echo(built.build.id)


@click.group(invoke_without_command=True)
@app_option
@json_option
@click.pass_context
def builds(ctx: click.Context, app: str | None, as_json: bool) -> None:
    """List the builds of an app.

    \b
    Examples:
      trivet builds
      trivet builds show 3f2a90c1d4e5
      trivet builds log 3f2a90c1d4e5
    """
    if ctx.invoked_subcommand is not None:
        return
    found = show_builds(installation(), named_app(app))
    if as_json:
        print_json(found)
        return
    print_table(
        ("BUILD", "COMMIT", "SUBJECT", "BUILDER", "SIZE", "AGE"),
        [_row(build) for build in found],
        nothing="No builds yet. `trivet build` makes one.",
    )


@builds.command("show")
@click.argument("build_id", metavar="BUILD")
@app_option
@json_option
def show(build_id: str, app: str | None, as_json: bool) -> None:
    """Show one build: its commit, layers, process types, tools.

    \b
    Examples:
      trivet builds show 3f2a90c1d4e5
    """
    found = show_build(installation(), named_app(app), build_id)
    if as_json:
        print_json(found)
        return
    source = found.source
    print_facts(
        (
            ("build", found.id),
            ("commit", f"{source.commit} {source.subject}"),
            ("author", source.author),
            ("builder", found.builder),
            (
                "layers",
                "\n".join(f"{layer.name}  {layer.digest[:12]}  {size(layer.size_bytes)}" for layer in found.layers),
            ),
            ("processes", "\n".join(f"{process.name}: {process.command}" for process in found.processes)),
            ("tools", "\n".join(f"{name} {program.version}  {program.path}" for name, program in found.tools.items())),
            ("created", f"{found.created_at} in {found.duration_s:.1f} s"),
        )
    )


@builds.command("log")
@click.argument("build_id", metavar="BUILD")
@app_option
def log(build_id: str, app: str | None) -> None:
    """Show all that the commands of a build wrote.

    \b
    Examples:
      trivet builds log 3f2a90c1d4e5
    """
    for line in show_build_log(installation(), named_app(app), build_id).splitlines():
        click.echo(visible(line, keep_color=sys.stdout.isatty()))


def _row(found: Build) -> tuple[str, ...]:
    source = found.source
    return (found.id, source.short, source.subject, found.builder, size(found.size_bytes), age(found.created_at))


COMMANDS = (deploy, build, builds)
