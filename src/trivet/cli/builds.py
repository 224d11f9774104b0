"""`builds`."""

import sys
from pathlib import Path

import click

from trivet.cli.checked import print_verified
from trivet.cli.documents import build_document
from trivet.cli.options import app_option, json_option
from trivet.cli.output import age, print_facts, print_json, print_table, visible
from trivet.cli.place import installation, named_app
from trivet.flows.overview import (
    show_build,
    show_build_document,
    show_build_log,
    show_build_states,
    show_builds,
    show_step_times,
)
from trivet.flows.verify import verify_builds
from trivet.model.build import Build
from trivet.model.build_document import BuildDocument
from trivet.model.document import to_json
from trivet.model.pruning import BuildState
from trivet.model.text import size
from trivet.model.timings import StepTime


@click.group(invoke_without_command=True)
@app_option
@json_option
@click.pass_context
def builds(ctx: click.Context, app: str | None, as_json: bool) -> None:
    """List the builds of an app.

    Ready ones can be started; the layers of stored ones are checked out again when they are needed; of pruned ones only
    the record is left.

    \b
    Examples:
      trivet builds
      trivet builds show 3f2a90c1d4e5
      trivet builds log 3f2a90c1d4e5
    """
    if ctx.invoked_subcommand is not None:
        return
    place, name = installation(), named_app(app)
    found, states = show_builds(place, name), show_build_states(place, name)
    if as_json:
        print_json([build_document(build, states[build.id]) for build in found])
        return
    print_table(
        ("BUILD", "STATE", "COMMIT", "SUBJECT", "BUILDER", "SIZE", "AGE"),
        [_row(build, states[build.id]) for build in found],
        nothing="No builds yet. `trivet build` makes one.",
    )


@builds.command("show")
@click.argument("build_id", metavar="BUILD")
@app_option
@click.option("--sbom", "document", flag_value=BuildDocument.SBOM, help="Its bill of materials, as CycloneDX.")
@click.option(
    "--provenance", "document", flag_value=BuildDocument.PROVENANCE, help="How it was made, as in-toto and SLSA."
)
@click.option("--log", "document", flag_value=BuildDocument.LOG, help="All that its commands wrote.")
@json_option
def show(build_id: str, app: str | None, document: str | None, as_json: bool) -> None:
    """Show one build: its commit, layers, process types, tools, and how long each step took.

    Or one of its documents, as it is, for other programs to read.

    \b
    Examples:
      trivet builds show 3f2a90c1d4e5
      trivet builds show 3f2a90c1d4e5 --sbom > sbom.json
      trivet builds show 3f2a90c1d4e5 --provenance | jq .subject
    """
    place, name = installation(), named_app(app)
    if document == BuildDocument.LOG:
        _print_log(show_build_log(place, name, build_id))
    elif document is not None:
        click.echo(show_build_document(place, name, build_id, BuildDocument(document)), nl=False)
    elif as_json:
        found = show_build(place, name, build_id)
        print_json({**to_json(found), "steps": show_step_times(place, found)})
    else:
        found = show_build(place, name, build_id)
        print_facts(_facts(found, show_step_times(place, found)))


def _facts(found: Build, steps: tuple[StepTime, ...]) -> tuple[tuple[str, str], ...]:
    source = found.source
    layers = [f"{layer.name}  {layer.digest[:12]}  {size(layer.size_bytes)}" for layer in found.layers]
    return (
        ("build", found.id),
        ("commit", f"{source.commit} {source.subject}"),
        ("author", source.author),
        ("builder", found.builder),
        ("layers", "\n".join(layers)),
        ("processes", "\n".join(f"{process.name}: {process.command}" for process in found.processes)),
        ("tools", "\n".join(f"{name} {program.version}  {program.path}" for name, program in found.tools.items())),
        ("confined", ", ".join(f"{what}: {how}" for what, how in found.confinement.items())),
        ("created", f"{found.created_at} in {found.duration_s:.1f} s"),
        ("steps", "\n".join(f"{step.duration_s:6.2f} s  {_phase(step)}{step.title}" for step in steps)),
    )


def _phase(step: StepTime) -> str:
    return f"{step.phase}: " if step.phase else ""


@builds.command("verify")
@click.argument("build_ids", nargs=-1, metavar="[BUILD]...")
@app_option
@click.option(
    "--signers",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Each must be signed by somebody whom this file of allowed signers lists.",
)
@json_option
def verify(build_ids: tuple[str, ...], app: str | None, signers: Path | None, as_json: bool) -> None:
    """Check that builds are what was built: every byte is read.

    Without BUILD, all of the app. Ends with status 20 and names the layers, files and documents that were altered.

    \b
    Examples:
      trivet builds verify
      trivet builds verify 3f2a90c1d4e5 --signers allowed_signers
    """
    print_verified(verify_builds(installation(), named_app(app), build_ids, signers), as_json=as_json)


@builds.command("log")
@click.argument("build_id", metavar="BUILD")
@app_option
def log(build_id: str, app: str | None) -> None:
    """Show all that the commands of a build wrote.

    \b
    Examples:
      trivet builds log 3f2a90c1d4e5
    """
    _print_log(show_build_log(installation(), named_app(app), build_id))


def _print_log(text: str) -> None:
    for line in text.splitlines():
        click.echo(visible(line, keep_color=sys.stdout.isatty()))


def _row(found: Build, state: BuildState) -> tuple[str, ...]:
    source, made = found.source, age(found.created_at)
    return (found.id, state.value, source.short, source.subject, found.builder, size(found.size_bytes), made)


COMMANDS = (builds,)
