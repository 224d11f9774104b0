"""What a look at builds found, shown: a build made again and compared, and builds whose every byte was read."""

import click

from trivet.cli.output import print_json, print_table, visible
from trivet.errors import BuildError, NotReproducible
from trivet.flows.verify import VerifiedBuild
from trivet.model.checked import Checked
from trivet.model.document import to_json
from trivet.model.pruning import BuildState


def print_checked(checked: Checked, *, as_json: bool) -> None:
    """That the build is the same again, or the files that differ. Raises: NotReproducible."""
    build, differences = checked.build, checked.differences
    if as_json:
        print_json({"build": build.id, "same": not differences, "differences": to_json(differences)})
    elif differences:
        rows = [(each.layer or "-", each.path, each.what) for each in differences]
        print_table(("LAYER", "PATH", "DIFFERS"), rows, nothing="")
    else:
        files = sum(layer.files for layer in build.layers)
        layers = ", ".join(layer.name for layer in build.layers)
        click.echo(f"{build.id}: the same again, all {files} files of {layers}")
    if differences:
        count = f"{len(differences)} of its paths differ" if len(differences) > 1 else "one of its paths differs"
        raise NotReproducible(
            f"Built again from nothing, {build.id} is another build: {count}.",
            hint="docs/explanation/the-same-twice.md says what usually makes a build differ. The build on record is unchanged.",
        )


def print_verified(found: tuple[VerifiedBuild, ...], *, as_json: bool) -> None:
    """What was found of each build. Raises: BuildError if something was altered."""
    bad = [each for each in found if each.faults]
    if as_json:
        print_json([_document(each) for each in found])
    else:
        for each in found:
            for line in _lines(each):
                click.echo(visible(line, keep_color=True))
    if bad:
        raise BuildError(
            f"{len(bad)} of {len(found)} builds {'is' if len(bad) == 1 else 'are'} not as built or signed: "
            f"{', '.join(each.build.id for each in bad)}.",
            hint="Move away the paths that are named, then build the commit again: trivet build COMMIT",
        )


def _lines(found: VerifiedBuild) -> list[str]:
    name = click.style(found.build.id, bold=True)
    if not found.faults:
        signed = f", signed by {found.signer.name} ({found.signer.fingerprint})" if found.signer else ""
        told = "pruned: only its record is left" if found.state is BuildState.PRUNED else "as built"
        return [f"{name}  {click.style(told, fg='green')}{signed}"]
    lines: list[str] = []
    for fault in found.faults:
        lines += (f"{name}  {click.style('altered', fg='red')}  {fault.told}", f"{'':12}           {fault.path}")
    return lines


def _document(found: VerifiedBuild) -> dict[str, object]:
    return {
        "build": found.build.id,
        "commit": found.build.source.commit,
        "good": not found.faults,
        "state": found.state,
        "faults": [
            {"part": fault.part, "files": fault.files, "reason": fault.told, "path": str(fault.path)}
            for fault in found.faults
        ],
        "signer": to_json(found.signer),
    }
