"""`prune`."""

import click

from trivet.cli.options import json_option, message_option, view, wait_option
from trivet.cli.output import print_json, print_table
from trivet.cli.place import installation
from trivet.flows.prune import Limits, limits_from_environment, parse_size
from trivet.flows.prune import prune as prune_flow
from trivet.model.pruning import Change
from trivet.model.text import size


@click.command()
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be freed.")
@click.option(
    "--keep",
    type=click.IntRange(1),
    metavar="N",
    help="How many good releases of each deploy to keep; default: $TRIVET_KEEP_RELEASES, else 10.",
)
@click.option(
    "--budget",
    metavar="SIZE",
    help="How much the builds may take, like 20GB; older releases go first. Default: $TRIVET_DISK_BUDGET, else no bound.",
)
@message_option
@wait_option
@json_option
def prune(dry_run: bool, keep: int | None, budget: str | None, message: str, no_wait: bool, as_json: bool) -> None:
    """Free the disk of builds that nobody needs any more.

    Kept are: what runs, what is pinned, the last good releases of every deploy, and what was built or used within the
    last hour. Only the newest of them stay checked out; the others are checked out again when they are needed. A build whose
    layers were pruned keeps its record, and `trivet rollback` offers to build it again. Every deploy prunes by itself.

    \b
    Examples:
      trivet prune --dry-run
      trivet prune --keep 3
      trivet prune --budget 20GB
    """
    place = installation(no_wait=no_wait)
    default = limits_from_environment(place.caller)
    budget_bytes = parse_size(budget, "--budget") if budget is not None else default.budget_bytes
    limits = Limits(keep or default.releases, budget_bytes)
    with view(verbose=False, quiet=False) as progress:
        pruned = prune_flow(place, limits, message, progress, dry_run=dry_run)
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "builds": [_document(change) for change in pruned.changes],
                "leftovers_bytes": pruned.leftovers_bytes,
                "freed_bytes": pruned.freed_bytes,
            }
        )
        return
    print_table(
        ("APP", "BUILD", "BECOMES", "COMMIT", "SUBJECT", "FREES"),
        [_row(change) for change in pruned.changes],
        nothing="",
    )
    if not pruned.freed_bytes and not pruned.changes:
        click.echo("nothing to prune")
        return
    if pruned.changes and pruned.leftovers_bytes:
        click.echo(f"leftovers: {size(pruned.leftovers_bytes)}")
    click.echo(f"{'would prune' if dry_run else 'pruned'} {pruned.told}")


def _row(change: Change) -> tuple[str, ...]:
    build = change.build
    return (build.app, build.id, change.state.value, change.commit[:8], change.subject, size(change.freed_bytes))


def _document(change: Change) -> dict[str, object]:
    return {
        "app": change.build.app,
        "build": change.build.id,
        "state": change.state,
        "commit": change.commit,
        "subject": change.subject,
        "freed_bytes": change.freed_bytes,
    }


COMMANDS = (prune,)
