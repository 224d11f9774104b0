"""`releases output`."""

import click

from trivet.cli.documents import output_document
from trivet.cli.options import RELEASE, deploy_options, json_option
from trivet.cli.output import print_json, print_notes, visible
from trivet.cli.place import installation, known_deploy
from trivet.errors import InputError
from trivet.flows import overview
from trivet.model.output import KeptOutput, Part
from trivet.model.text import size


@click.command("output")
@click.argument("number", type=RELEASE)
@click.argument("part", type=click.Choice([part.value for part in Part]), required=False, metavar="[PART]")
@deploy_options
@json_option
def output(number: int, part: str | None, app: str | None, deploy_name: str, as_json: bool) -> None:
    """Show what the commands around a release wrote: its release command and its hooks.

    All of them, each under a line that says how it ended; or one, by its name, as it was written: pre-release, release
    (the release command), schema, post-release or failed. Also of a release that failed.

    \b
    Examples:
      trivet releases output v12
      trivet releases output v12 release
    """
    place = installation()
    deploy = known_deploy(place, app, deploy_name)
    kept = overview.read_outputs(place, deploy, number)
    if part is not None:
        kept = tuple(each for each in kept if each.output.part == part)
    if as_json:
        print_json([output_document(each) for each in kept])
    elif part is not None and not kept:
        raise InputError(
            f"v{number} of {deploy} has no output of {part}.", hint=f"`trivet releases output v{number}` shows all."
        )
    elif part is not None:
        _print_text(kept[0].text)
    else:
        _print_all(kept, f"v{number} of {deploy} has no output: no release command or hook has run")


def _print_all(kept: tuple[KeptOutput, ...], nothing: str) -> None:
    if not kept:
        print_notes((nothing,))
    for each in kept:
        click.secho(visible(f"{each.output.part}: {each.output.command}: {_ending(each)}"), bold=True)
        _print_text(each.text)


def _ending(kept: KeptOutput) -> str:
    left_out = kept.output.left_out_bytes
    return f"{kept.output.told}{f', {size(left_out)} left out' if left_out else ''}"


def _print_text(text: str) -> None:
    for line in text.splitlines():
        click.echo(visible(line, keep_color=True))
