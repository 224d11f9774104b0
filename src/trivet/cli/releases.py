"""`releases`, `rollback`, `promote`."""

import sys

import click

from trivet.cli import suggestions
from trivet.cli.deploying import print_released
from trivet.cli.documents import full_record_document, record_document
from trivet.cli.options import (
    RELEASE,
    Manner,
    app_option,
    deploy_options,
    json_option,
    manner_options,
)
from trivet.cli.output import age, print_facts, print_json, print_table, visible
from trivet.cli.place import installation, known_deploy, named_app, named_deploy
from trivet.cli.restoring import Consent, with_layers
from trivet.errors import Interrupted, LedgerError
from trivet.flows import overview
from trivet.flows.pins import pin_release
from trivet.flows.promote import promote as promote_flow
from trivet.flows.rollback import RollbackPlan, plan_rollback
from trivet.flows.rollback import rollback as rollback_flow
from trivet.model.config import ConfigChange
from trivet.model.names import parse_deploy_name
from trivet.model.release import Record


@click.group(invoke_without_command=True)
@deploy_options
@click.option("-n", "--lines", "limit", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@json_option
@click.pass_context
def releases(
    ctx: click.Context, app: str | None, deploy_name: str, limit: int, everything: bool, as_json: bool
) -> None:
    """List the releases of a deploy, newest first.

    \b
    Examples:
      trivet releases
      trivet releases -d staging --json
      trivet releases show v3
      trivet releases diff v2 v3
      trivet releases verify
      trivet releases pin v3
    """
    if ctx.invoked_subcommand is not None:
        return
    place = installation()
    deploy = known_deploy(place, app, deploy_name)
    records = overview.list_releases(place, deploy, None if everything else limit)
    pins = overview.pinned_releases(place, deploy)
    if as_json:
        print_json([record_document(record, is_pinned=record.release.number in pins) for record in records])
        return
    running = overview.running_release(place, deploy)
    print_table(
        ("RELEASE", "STATE", "CHANGE", "COMMIT", "BUILD", "BY", "AGE"),
        [_row(record, running, pins) for record in records],
        nothing=f"{deploy} has no releases yet. `trivet deploy` makes one.",
    )


@releases.command("show")
@click.argument("number", type=RELEASE)
@deploy_options
@json_option
def show(number: int, app: str | None, deploy_name: str, as_json: bool) -> None:
    """Show one release: who, when, why, what, and what became of it.

    \b
    Examples:
      trivet releases show v3
    """
    place = installation()
    deploy = known_deploy(place, app, deploy_name)
    record = overview.show_release(place, deploy, number)
    is_pinned = number in overview.pinned_releases(place, deploy)
    if as_json:
        print_json(full_record_document(record, is_pinned=is_pinned))
        return
    print_facts(_facts(record, is_pinned=is_pinned))


@releases.command("pin")
@click.argument("number", type=RELEASE)
@deploy_options
def pin(number: int, app: str | None, deploy_name: str) -> None:
    """Keep what a release needs to be rolled back to, whatever is pruned.

    \b
    Examples:
      trivet releases pin v12
    """
    _pin(number, app, deploy_name, keep=True)


@releases.command("unpin")
@click.argument("number", type=RELEASE)
@deploy_options
def unpin(number: int, app: str | None, deploy_name: str) -> None:
    """Let pruning take what a release needs, once it is none of the last good ones.

    \b
    Examples:
      trivet releases unpin v12
    """
    _pin(number, app, deploy_name, keep=False)


def _pin(number: int, app: str | None, deploy_name: str, *, keep: bool) -> None:
    place = installation()
    deploy = known_deploy(place, app, deploy_name)
    is_new = pin_release(place, deploy, number, keep=keep)
    state = "pinned: pruning keeps it" if keep else "not pinned: pruning may take it"
    click.echo(f"{deploy} v{number} {'is' if is_new else 'was already'} {state}")


@releases.command("diff")
@click.argument("old", type=RELEASE)
@click.argument("new", type=RELEASE)
@deploy_options
@json_option
def diff(old: int, new: int, app: str | None, deploy_name: str, as_json: bool) -> None:
    """Show what differs between two releases: commits, process types, config keys.

    Config values are never shown.

    \b
    Examples:
      trivet releases diff v2 v3
    """
    place = installation()
    comparison = overview.compare_releases(place, known_deploy(place, app, deploy_name), old, new)
    if as_json:
        print_json(
            {
                "old": old,
                "new": new,
                "commits": comparison.commits,
                "commits_note": comparison.commits_note,
                "changes": comparison.changes,
            }
        )
        return
    _print_comparison(comparison)


@releases.command("verify")
@deploy_options
@json_option
def verify(app: str | None, deploy_name: str, as_json: bool) -> None:
    """Check that no entry of the ledger was altered, removed or put in later.

    Ends with status 30 and names the first bad entry if one was.

    \b
    Examples:
      trivet releases verify
    """
    place = installation()
    deploy = known_deploy(place, app, deploy_name)
    found = overview.verify_ledger(place, deploy)
    if as_json:
        print_json(found)
    if found.first_bad is not None:
        release = f" (v{found.number})" if found.number else ""
        raise LedgerError(
            f"The ledger of {deploy} was altered: entry {found.first_bad}{release}: {found.reason}.",
            hint="Somebody wrote to trivet.db or a release folder by other means than Trivet. Restore it from a backup.",
        )
    if not as_json:
        click.echo(f"{deploy}: {found.entries} entries, each as it was written")


@click.command()
@click.argument("number", type=RELEASE, required=False, metavar="[vN]")
@deploy_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--rebuild", is_flag=True, help="If the build was pruned, build its commit again without asking.")
@click.option("--accept-changes", is_flag=True, help="Go back even if what was built again is not what it was.")
@click.option("--run-release-command", is_flag=True, help="Run the old build's release command, too; default: not.")
@manner_options
def rollback(
    number: int | None,
    app: str | None,
    deploy_name: str,
    yes: bool,
    rebuild: bool,
    accept_changes: bool,
    run_release_command: bool,
    manner: Manner,
) -> None:
    """Bring back an earlier release, as a new one.

    Its build, its config and its process types come back. Default: the good release before the running one (after
    a rollback: before the one it brought back). Shows what will change, and asks on a terminal.

    If its build was pruned, it can be built again from its commit; unless every layer has the digest that it had, nothing is
    rolled back.

    \b
    Examples:
      trivet rollback
      trivet rollback v3 --yes -m "checkout is broken"
      trivet rollback v3 --rebuild
    """
    place = manner.installation
    plan = plan_rollback(place, known_deploy(place, app, deploy_name), number)
    if not (manner.quiet or manner.as_json):
        _print_plan(plan)
    if not yes and sys.stdin.isatty() and not click.confirm("Roll back?", err=True):
        raise Interrupted("Nothing was changed.", hint="Answer y, or give --yes, to roll back.")
    plan = with_layers(plan, manner, Consent(rebuild or yes, accept_changes))
    with manner.view as progress:
        released = rollback_flow(place, plan, manner.message, progress, release_command=run_release_command)
    print_released(released, as_json=manner.as_json)


@click.command()
@click.argument("source", metavar="FROM", shell_complete=suggestions.deploys)
@click.argument("target", metavar="TO", shell_complete=suggestions.deploys)
@app_option
@manner_options
def promote(
    source: str,
    target: str,
    app: str | None,
    manner: Manner,
) -> None:
    """Release in one deploy what serves in another.

    The same build, with the target's own config.

    \b
    Examples:
      trivet promote staging production
    """
    place = manner.installation
    name = named_app(app)
    origin = known_deploy(place, name, parse_deploy_name(source))
    with manner.view as progress:
        released = promote_flow(place, origin, named_deploy(name, target), manner.message, progress)
    print_released(released, as_json=manner.as_json)


def _row(record: Record, running: int | None, pins: frozenset[int]) -> tuple[str, ...]:
    release = record.release
    pinned = ", pinned" if release.number in pins else ""
    mark = "*" if release.number == running else ""
    build = release.build
    return (
        f"{release.name}{mark}",
        f"{record.outcome.state.value}{pinned}",
        release.reason,
        build.source.short,
        build.id,
        str(release.actor),
        age(release.created_at),
    )


def _facts(record: Record, *, is_pinned: bool) -> list[tuple[str, str]]:
    release, outcome = record.release, record.outcome
    source = release.build.source
    failure = "\n".join((outcome.reason, *(f"| {line}" for line in outcome.output))) if outcome.reason else ""
    return [
        ("release", f"{release.deploy} {release.name}"),
        ("state", f"{outcome.state.value}{', pinned' if is_pinned else ''}"),
        ("why", release.reason),
        ("who", str(release.actor)),
        ("when", release.created_at),
        ("ended", record.ended_at or ""),
        ("from", f"{release.origin.deploy} v{release.origin.number}" if release.origin else ""),
        ("commit", f"{source.commit} {source.subject}"),
        ("author", source.author),
        ("build", release.build.id),
        ("config", f"c{release.config_version}{_describe(release.config_change)}"),
        ("processes", "\n".join(f"{process.name}: {process.command}" for process in release.processes)),
        ("failure", failure),
    ]


def _describe(change: ConfigChange) -> str:
    parts = [
        f"{word} {', '.join(keys)}"
        for word, keys in (("added", change.added), ("changed", change.changed), ("removed", change.removed))
        if keys
    ]
    return f" ({'; '.join(parts)})" if parts else ""


def _print_comparison(comparison: overview.Comparison) -> None:
    old, new = comparison.old.release, comparison.new.release
    commits = [f"{line.commit[:8]} {line.subject} ({line.author})" for line in comparison.commits]
    facts = [
        ("releases", f"{old.name} → {new.name} of {new.deploy}"),
        ("commits", "\n".join(commits) or comparison.commits_note),
        ("processes", _processes(comparison.changes.lines)),
        ("config", _config_lines(comparison.changes.config)),
    ]
    print_facts(facts)


def _print_plan(plan: RollbackPlan) -> None:
    target = plan.target.release
    source = target.build.source
    running = plan.current.release if plan.current else None
    click.echo(f"Rolling back {target.deploy} to {target.name}:", err=True)
    is_moved = running is not None and running.build.source.commit != source.commit
    was = f"{running.build.source.short} {running.build.source.subject} → " if running and is_moved else ""
    same = "" if is_moved else " (the same commit)"
    for name, text in (
        ("commit", f"{was}{source.short} {source.subject}{same}"),
        ("processes", _processes(plan.changes.lines)),
        ("config", _config_lines(plan.changes.config)),
    ):
        for index, line in enumerate(text.splitlines()):
            click.echo(f"  {name if index == 0 else '':<10} {visible(line)}", err=True)


def _processes(lines: tuple[str, ...]) -> str:
    return "\n".join(lines) or "the same process types"


def _config_lines(change: ConfigChange) -> str:
    marks = (("+", change.added), ("~", change.changed), ("-", change.removed))
    return "\n".join(f"{mark} {key}" for mark, keys in marks for key in keys) or "the same config"


COMMANDS = (releases, rollback, promote)
