"""`rollback`."""

from dataclasses import replace

import click

from trivet.cli.deploying import print_released
from trivet.cli.options import (
    RELEASE,
    Manner,
    deploy_options,
    manner_options,
)
from trivet.cli.place import known_deploy
from trivet.cli.plans import ask, print_preview, show_plan
from trivet.cli.restoring import Consent, obtain_build
from trivet.flows.planning import check_expected
from trivet.flows.preview import preview
from trivet.flows.rollback import Return, plan_rollback
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
@click.option("--skip-hooks", is_flag=True, help="Do not run the old build's hooks.")
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
    skip_hooks: bool,
    manner: Manner,
) -> int | None:
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
        skips_hooks=skip_hooks,
        terms=manner.terms(),
    )
    if manner.only_plan:
        planned = plan_rollback(place, replace(back, rebuilds=rebuild)).decision.plan
        return show_plan(place, planned, manner.expect, as_json=manner.as_json)
    agreed = plan_rollback(place, back)
    plan, target = agreed.decision.plan, agreed.target.release
    check_expected(plan, manner.expect)
    if not (manner.quiet or manner.as_json):
        print_preview(f"Rolling back {target.deploy} to {target.name}:", preview(place, plan))
    if plan.schema is not None and not accept_schema:
        check_move(plan.schema, agreed.target)
    back = replace(back, number=target.number)
    if ask("Roll back?", yes=yes):
        back = replace(back, terms=replace(back.terms, expect=plan.hash))
    back = replace(back, instead=obtain_build(agreed, manner, Consent(rebuild or yes, accept_changes)))
    with manner.view as progress:
        released = rollback_flow(place, back, progress)
    print_released(released, as_json=manner.as_json)
    return None


COMMANDS = (rollback,)
