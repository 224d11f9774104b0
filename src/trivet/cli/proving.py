"""`releases verify`, `proof`, `export` and `key`: whether the ledger is what was written, and how others are shown it."""

from dataclasses import replace
from pathlib import Path

import click

from trivet.cli import suggestions
from trivet.cli.documents import verification_document
from trivet.cli.options import RELEASE, app_option, deploy_options, json_option
from trivet.cli.output import print_json
from trivet.cli.place import installation, known_deploy, named_app
from trivet.errors import InputError, LedgerError
from trivet.flows import overview
from trivet.model.names import parse_deploy_name
from trivet.model.verification import Fault


@click.command()
@click.option(
    "--checkpoint",
    "kept",
    metavar="FILE",
    help="One that was kept elsewhere: a file, or what a deploy printed, like 37:mJ2k…=",
)
@json_option
def verify(kept: str | None, as_json: bool) -> None:
    """Check that no entry of the ledger was altered, removed or put in later.

    The whole installation's, with the checkpoints in the release folders, the folders themselves, the stored config, and
    the signatures of releases.
    Ends with status 30 and names the first bad entry if there is one. Whoever can write to all of that, and has the
    installation's key, can make it fit: a checkpoint that was kept elsewhere finds that, too.

    \b
    Examples:
      trivet releases verify
      trivet releases verify --checkpoint ledger-2026-11.checkpoint
      trivet releases verify --checkpoint 37:mJ2kLyWcEIcPSIIYrJuYJhWo9O5rS4Fh8Ww3nq9bRJ0=
    """
    from trivet.flows.signing import verify_signatures  # only this command needs it

    place = installation()
    found = overview.verify_ledger(place, kept)
    signed, fault = (0, found.fault) if found.fault else verify_signatures(place)
    if as_json:
        print_json({**verification_document(replace(found, fault=fault)), "signed": signed})
    if fault is not None:
        raise _altered(fault)
    if not as_json:
        more = f"; {signed} signed release{'s' if signed > 1 else ''}" if signed else ""
        click.echo(f"{found.checkpoint.size} entries, each as it was written (ledger {found.checkpoint.short}){more}")


@click.command()
@click.argument("number", type=RELEASE)
@deploy_options
@click.option("--outcome", is_flag=True, help="Prove what became of the release, instead of what was released.")
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Where to; default: standard output."
)
def proof(number: int, app: str | None, deploy_name: str, outcome: bool, output: Path | None) -> None:
    """Write a proof that a release is in the ledger.

    It holds the entry, a checkpoint and the hashes that lead from one to the other (c2sp.org/tlog-proof). Whoever has it and
    the public key (`trivet releases key`) can check it, without this machine and without Trivet. The entry names the commit, its
    author, who released it and why, the process types with their commands, and the names of config keys; no value.

    \b
    Examples:
      trivet releases proof v12 -o v12.tlog-proof
      trivet releases proof v12 --outcome
    """
    place = installation()
    text = overview.prove_release(place, known_deploy(place, app, deploy_name), number, outcome=outcome)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text)
    except OSError as error:
        raise InputError(
            f"The proof cannot be written to {output}: {error.strerror}.", hint="Name another file: -o FILE"
        ) from error
    click.echo(f"{output}: a proof that {'the outcome of ' if outcome else ''}v{number} is in the ledger")


@click.command()
@app_option
@click.option(
    "-d", "--deploy", "deploy_name", metavar="NAME", help="Of this deploy alone.", shell_complete=suggestions.deploys
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "in-toto"]),
    default="jsonl",
    show_default=True,
    help="Every entry as the ledger has it, or an in-toto statement for each release.",
)
def export(app: str | None, deploy_name: str | None, form: str) -> None:
    """Write the ledger as lines of JSON, for other programs.

    Of the whole installation, unless an app or a deploy is named; a deploy is one of the app that the folder tells. The hash
    of an entry is computed from what its line holds, and the root that checkpoints sign from the hashes
    (docs/how-to/verify-the-ledger.md). No config value is in it, nor what would let one be guessed.

    \b
    Examples:
      trivet releases export > ledger.jsonl
      trivet releases export -a shop -d production --format in-toto
    """
    from trivet.flows.export import Form, export_ledger  # only this command needs it

    place = installation()
    name = named_app(app) if app is not None or deploy_name is not None else None
    deploy = parse_deploy_name(deploy_name) if deploy_name is not None else None
    for line in export_ledger(place, name, deploy, Form(form)):
        click.echo(line)


@click.command()
def key() -> None:
    """Print the public key that checks what this installation signs.

    \b
    Examples:
      trivet releases key
      trivet releases key > ledger.pub
    """
    click.echo(overview.show_public_key(installation()))


def _altered(fault: Fault) -> LedgerError:
    if fault.position is None and not fault.app:  # it is about what was kept elsewhere
        return LedgerError(
            f"The ledger cannot be compared: {fault.reason}.",
            hint="Either that is of another installation, or was changed, or this installation's key was exchanged.",
        )
    return LedgerError(
        f"The ledger was altered: {_entry(fault)}{fault.reason}.",
        hint="Somebody wrote to trivet.db, keys or a release folder by other means than Trivet. Restore them from a backup.",
    )


def _entry(fault: Fault) -> str:
    if fault.position is None:
        return ""
    about = f" ({fault.app}/{fault.deploy} v{fault.number})" if fault.number else ""
    return f"entry {fault.position}{about}: "
