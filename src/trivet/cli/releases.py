"""`releases`."""

import click
from click.core import ParameterSource

from trivet.cli.changes import config_lines, mark_texts, process_lines
from trivet.cli.documents import Document, full_record_document, links_document, record_document
from trivet.cli.kept_output import output
from trivet.cli.linking import link_facts
from trivet.cli.options import RELEASE, deploy_options, json_option, message_option
from trivet.cli.output import age, print_facts, print_json, print_table
from trivet.cli.place import installation, known_app, known_deploy
from trivet.cli.proving import export, key, proof, verify
from trivet.cli.side_by_side import show_side_by_side
from trivet.errors import InputError, UnsignedRelease
from trivet.flows import overview
from trivet.flows.installation import Installation
from trivet.flows.links import Links, read_links
from trivet.flows.pins import pin_release
from trivet.model.config import ConfigChange
from trivet.model.document import to_json
from trivet.model.names import Deploy
from trivet.model.release import Actor, Record


@click.group(invoke_without_command=True)
@deploy_options
@click.option("-n", "--lines", "limit", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--all-deploys", is_flag=True, help="All deploys side by side: which build is where, as which release.")
@json_option
@click.pass_context
def releases(
    ctx: click.Context,
    app: str | None,
    deploy_name: str,
    limit: int,
    everything: bool,
    all_deploys: bool,
    as_json: bool,
) -> None:
    """List the releases of a deploy, newest first.

    With --all-deploys, a row is a build and a column a deploy; `*` marks what runs, so that what is above it is what that
    deploy lacks.

    \b
    Examples:
      trivet releases
      trivet releases --all-deploys
      trivet releases -d staging --json
      trivet releases show v3
      trivet releases diff v2 v3
      trivet releases verify
      trivet releases pin v3
      trivet releases output v3
    """
    if ctx.invoked_subcommand is not None:
        return
    place, most = installation(), None if everything else limit
    if all_deploys:
        _check_no_deploy_named(ctx)
        show_side_by_side(place, known_app(place, app), most, as_json=as_json)
        return
    deploy = known_deploy(place, app, deploy_name)
    records = overview.list_releases(place, deploy, most)
    pins = overview.pinned_releases(place, deploy)
    left = overview.quarantined_releases(records)
    if as_json:
        print_json([_document(record, pins, left) for record in records])
        return
    running = overview.running_release(place, deploy)
    print_table(
        ("RELEASE", "STATE", "CHANGE", "COMMIT", "BUILD", "BY", "AGE"),
        [_row(record, running, pins, left) for record in records],
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
    links = read_links(place, deploy, number)
    is_pinned = number in overview.pinned_releases(place, deploy)
    from trivet.flows.signing import describe_signer, show_release_signer  # listing releases needs none of it

    try:
        signer = show_release_signer(place, record)
        signed = describe_signer(signer) if signer else ""
    except UnsignedRelease as error:
        signer, signed = None, error.message
    if as_json:
        document = {"signer": to_json(signer), "links": links_document(links)}
        print_json({**full_record_document(record, is_pinned=is_pinned), **document})
        return
    facts = _facts(record, links, is_pinned=is_pinned)
    print_facts((*facts[:4], ("signed", signed), *facts[4:]))


@releases.command("pin")
@click.argument("number", type=RELEASE)
@deploy_options
@message_option
def pin(number: int, app: str | None, deploy_name: str, message: str) -> None:
    """Keep what a release needs to be rolled back to, whatever is pruned.

    \b
    Examples:
      trivet releases pin v12
    """
    place = installation()
    _pin(place, known_deploy(place, app, deploy_name), number, message, keep=True)


@releases.command("unpin")
@click.argument("number", type=RELEASE)
@deploy_options
@message_option
def unpin(number: int, app: str | None, deploy_name: str, message: str) -> None:
    """Let pruning take what a release needs, once it is none of the last good ones.

    \b
    Examples:
      trivet releases unpin v12
    """
    place = installation()
    _pin(place, known_deploy(place, app, deploy_name), number, message, keep=False)


def _pin(place: Installation, deploy: Deploy, number: int, message: str, *, keep: bool) -> None:
    is_new = pin_release(place, deploy, number, message, keep=keep)
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


def _check_no_deploy_named(ctx: click.Context) -> None:
    if ctx.get_parameter_source("deploy_name") is ParameterSource.COMMANDLINE:
        raise InputError(
            "--all-deploys shows all deploys, and -d names one.",
            hint="Leave out one of them: trivet releases --all-deploys",
        )


def _document(record: Record, pins: frozenset[int], left: frozenset[int]) -> Document:
    number = record.release.number
    return {**record_document(record, is_pinned=number in pins), "quarantined": number in left}


def _row(record: Record, running: int | None, pins: frozenset[int], left: frozenset[int]) -> tuple[str, ...]:
    release = record.release
    pinned = ", pinned" if release.number in pins else ""
    quarantined = ", quarantined" if release.number in left else ""
    mark = "*" if release.number == running else ""
    build = release.build
    return (
        f"{release.name}{mark}",
        f"{_state(record)}{pinned}{quarantined}",
        release.reason,
        build.source.short,
        build.id,
        str(release.actor),
        age(release.created_at),
    )


def _facts(record: Record, links: Links, *, is_pinned: bool) -> list[tuple[str, str]]:
    release, outcome = record.release, record.outcome
    source = release.build.source
    pinned = ", pinned" if is_pinned else ""
    failure = "\n".join((outcome.reason, *(f"| {line}" for line in outcome.output))) if outcome.reason else ""
    return [
        ("release", f"{release.deploy} {release.name}"),
        ("state", f"{_state(record)}{f' by v{record.superseded_by}' if record.superseded_by else ''}{pinned}"),
        ("why", release.reason),
        ("who", f"{release.actor}{_authority(release.actor)}"),
        ("when", release.created_at),
        ("ended", record.ended_at or ""),
        ("from", f"{release.origin.deploy} v{release.origin.number}" if release.origin else ""),
        *link_facts(links),
        ("commit", f"{source.commit} {source.subject}"),
        ("author", source.author),
        ("build", release.build.id),
        ("config", f"c{release.config_version}{_describe(release.config_change)}"),
        ("trivet", release.tool_version),
        ("processes", "\n".join(f"{process.name}: {process.command}" for process in release.processes)),
        ("schema", outcome.schema or ""),
        ("failure", failure),
    ]


def _state(record: Record) -> str:
    return "superseded" if record.superseded_by else record.outcome.state.value


def _authority(actor: Actor) -> str:
    return f" ({actor.authority})" if actor.authority else ""


def _describe(change: ConfigChange) -> str:
    parts = [
        f"{word} {', '.join(keys)}"
        for word, keys in (("added", change.added), ("changed", change.changed), ("removed", change.removed))
        if keys
    ]
    parts.extend(mark_texts(change))
    return f" ({'; '.join(parts)})" if parts else ""


def _print_comparison(comparison: overview.Comparison) -> None:
    old, new = comparison.old.release, comparison.new.release
    commits = [f"{line.commit[:8]} {line.subject} ({line.author})" for line in comparison.commits]
    facts = [
        ("releases", f"{old.name} → {new.name} of {new.deploy}"),
        ("commits", "\n".join(commits) or comparison.commits_note),
        ("processes", process_lines(comparison.changes.lines)),
        ("config", config_lines(comparison.changes.config)),
    ]
    print_facts(facts)


releases.add_command(output)
releases.add_command(verify)
releases.add_command(proof)
releases.add_command(export)
releases.add_command(key)


COMMANDS = (releases,)
