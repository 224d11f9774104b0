"""What a person is asked before a rollback to a build that was pruned."""

import sys

import click

from trivet.cli.options import Manner
from trivet.errors import Interrupted, LayersPruned
from trivet.flows.restore import Rebuilt, make_ready
from trivet.flows.restore import rebuild as rebuild_flow
from trivet.flows.rollback import RollbackPlan
from trivet.model.build import Build
from trivet.model.frozen import frozen


@frozen
class Consent:
    """What the person has agreed to beforehand: to build again, and to what is not as it was."""

    rebuild: bool
    changes: bool


def obtain_build(plan: RollbackPlan, manner: Manner, consent: Consent) -> Build | None:
    """The plan's build can be started, or what is returned, built again from its commit, can be, if the person agrees.

    Raises: LayersPruned, if nobody can be asked, or what was built again is not what it was; Interrupted.
    """
    old = plan.target.release.build
    with manner.view as progress:
        if make_ready(manner.installation, old, progress):
            return None
    if not consent.rebuild:
        if not sys.stdin.isatty():
            return None  # the rollback itself says what can be done
        name = plan.target.release.name
        _ask(f"The build of {name} was pruned. Build {old.source.short} again and compare?")
    with manner.view as progress:
        rebuilt = rebuild_flow(manner.installation, plan.target.release, progress)
    if rebuilt.differences:
        _settle_differences(plan, rebuilt, consent)
    return rebuilt.build


def _settle_differences(plan: RollbackPlan, rebuilt: Rebuilt, consent: Consent) -> None:
    name = plan.target.release.name
    told = f"What was built again is not what {name} was released with."
    if not consent.changes and not sys.stdin.isatty():
        raise LayersPruned(
            told,
            hint=f"Nothing was changed. `trivet rollback {name} --rebuild --accept-changes` goes back to it all the same.",
            detail=rebuilt.differences,
        )
    for line in (told, *rebuilt.differences):
        click.echo(line, err=True)
    if not consent.changes:
        _ask("Go back to it all the same?")


def _ask(question: str) -> None:
    if not click.confirm(question, err=True):
        raise Interrupted("Nothing was changed.", hint="Answer y, or give --rebuild, to go back.")
