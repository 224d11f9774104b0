"""`promote`."""

from dataclasses import replace

import click

from trivet.cli import suggestions
from trivet.cli.deploying import print_released
from trivet.cli.options import Manner, again_option, app_option, manner_options
from trivet.cli.place import known_deploy, named_app, named_deploy
from trivet.cli.plans import ask, print_preview, show_plan
from trivet.flows.preview import preview
from trivet.flows.promote import Promotion, plan_promotion
from trivet.flows.promote import promote as promote_flow
from trivet.model.names import parse_deploy_name
from trivet.model.plan import Plan


@click.command()
@click.argument("source", metavar="FROM", shell_complete=suggestions.deploys)
@click.argument("target", metavar="TO", shell_complete=suggestions.deploys)
@app_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@again_option
@manner_options
def promote(
    source: str,
    target: str,
    app: str | None,
    yes: bool,
    again: str,
    manner: Manner,
) -> int | None:
    """Release in one deploy what serves in another.

    The same build, with the target's own config. Shows what will change in the target, and asks on a terminal; what was
    agreed to is done, or nothing.

    \b
    Examples:
      trivet promote staging production
      trivet promote staging production --plan
    """
    place = manner.installation
    name = named_app(app)
    origin, to = known_deploy(place, name, parse_deploy_name(source)), named_deploy(name, target)
    promotion = Promotion(origin, to, manner.terms(again))
    decision = plan_promotion(place, promotion)
    if manner.only_plan:
        return show_plan(place, decision.plan, manner.expect, as_json=manner.as_json)
    decision.insist(manner.expect)
    if not (manner.quiet or manner.as_json):
        print_preview(f"Promoting {origin} v{_number(decision.plan)} to {to}:", preview(place, decision.plan))
    if ask("Promote?", yes=yes):
        promotion = replace(promotion, terms=replace(promotion.terms, expect=decision.plan.hash))
    with manner.view as progress:
        released = promote_flow(place, promotion, progress)
    print_released(released, as_json=manner.as_json)
    return None


def _number(plan: Plan) -> int | None:
    return plan.origin.number if plan.origin else None


COMMANDS = (promote,)
