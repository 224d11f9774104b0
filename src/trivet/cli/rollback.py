"""`rollback`."""

import sys
from dataclasses import replace

import click

from trivet.cli.changes import fate_lines, process_lines, schema_line
from trivet.cli.deploying import print_released
from trivet.cli.options import (
    RELEASE,
    Manner,
    deploy_options,
    manner_options,
)
from trivet.cli.output import visible
from trivet.cli.place import known_deploy
from trivet.cli.restoring import Consent, obtain_build
from trivet.errors import Interrupted
from trivet.flows.planning import Terms
from trivet.flows.rollback import Return, RollbackPlan, plan_rollback
from trivet.flows.rollback import rollback as rollback_flow
from trivet.flows.schema import check_move


@click.command()
@click.argument("number", type=RELEASE, required=False, metavar="[vN]")
@deploy_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--rebuild", is_flag=True, help="If the build was pruned, build its commit again without asking.")
@click.option("--accept-changes", is_flag=True, help="Go back even if what was built again is not what it was.")
@click.option("--run-release-command", is_flag=True, help="Run the old build's release command, too; default: not.")
@click.option("--accept-schema", is_flag=True, help="Go back even if the database's schema has changed since.")
@manner_options
def rollback(
    number: int | None,
    app: str | None,
    deploy_name: str,
    yes: bool,
    rebuild: bool,
    accept_changes: bool,
    run_release_command: bool,
    accept_schema: bool,
    manner: Manner,
) -> None:
    """Bring back an earlier release, as a new one.

    Its build, its config and its process types come back; keys that are marked live keep their present value. Default: the
    good release before the running one (after a rollback: before the one it brought back). Shows what will change, and
    asks on a terminal.

    If the app says what its database's schema goes by, and that has changed since, nothing is rolled back without
    --accept-schema.

    If its build was pruned, it can be built again from its commit; unless every layer has the digest that it had, nothing is
    rolled back.

    \b
    Examples:
      trivet rollback
      trivet rollback v3 --yes -m "checkout is broken"
      trivet rollback v3 --rebuild
    """
    place = manner.installation
    back = Return(
        known_deploy(place, app, deploy_name),
        number,
        release_command=run_release_command,
        accepts_schema=accept_schema,
        terms=Terms(manner.message),
    )
    plan = plan_rollback(place, back)
    if not (manner.quiet or manner.as_json):
        _print_plan(plan)
    if not accept_schema:
        check_move(plan.schema, plan.target)
    if not yes and sys.stdin.isatty() and not click.confirm("Roll back?", err=True):
        raise Interrupted("Nothing was changed.", hint="Answer y, or give --yes, to roll back.")
    instead = obtain_build(plan, manner, Consent(rebuild or yes, accept_changes))
    back = replace(back, number=plan.target.release.number, instead=instead)
    with manner.view as progress:
        released = rollback_flow(place, back, progress)
    print_released(released, as_json=manner.as_json)


def _print_plan(plan: RollbackPlan) -> None:
    target, planned = plan.target.release, plan.decision.plan
    source, start = target.build.source, planned.start
    click.echo(f"Rolling back {target.deploy} to {target.name}:", err=True)
    is_moved = start.commit is not None and start.commit != source.commit
    was = f"{start.commit[:8]} {start.subject} → " if start.commit and is_moved else ""
    same = "" if is_moved else " (the same commit)"
    lines = tuple(line for change in planned.processes for line in change.lines)
    for name, text in (
        ("commit", f"{was}{source.short} {source.subject}{same}"),
        ("processes", process_lines(lines)),
        ("config", fate_lines(plan.fates, target.name)),
        ("schema", schema_line(plan.schema)),
    ):
        for index, line in enumerate(text.splitlines()):
            click.echo(f"  {name if index == 0 else '':<10} {visible(line)}", err=True)


COMMANDS = (rollback,)
