"""`schedule`: what runs at times."""

import click

from trivet.cli.moments import parse_moment
from trivet.cli.options import deploy_options, json_option, reason_option, view
from trivet.cli.output import print_json, print_table, visible
from trivet.cli.place import installation, known_deploy
from trivet.flows import environments
from trivet.flows import schedule as flow
from trivet.model.document import to_json
from trivet.model.scheduled_run import Plight, ScheduledRun

_LIST = ("NAME", "WHEN", "TIME ZONE", "NEXT", "LAST", "OUTCOME")
_RUNS = ("PLANNED", "BEGAN", "TOOK", "RELEASE", "PROCESS", "OUTCOME")


@click.group(invoke_without_command=True)
@deploy_options
@json_option
@click.pass_context
def schedule(ctx: click.Context, app: str | None, deploy_name: str, as_json: bool) -> None:
    """List what a deploy runs at times, and when next.

    [schedule] in trivet.toml says what, and it is the running release's that counts. Times are in UTC.

    \b
    Examples:
      trivet schedule
      trivet schedule runs nightly
      trivet schedule run nightly
    """
    if ctx.invoked_subcommand is not None:
        return
    place = installation()
    plights = flow.list_schedule(place, known_deploy(place, app, deploy_name))
    if as_json:
        print_json([_plight_document(each) for each in plights])
    else:
        nothing = "Nothing is scheduled; [schedule] in trivet.toml says what runs at times."
        print_table(_LIST, [_plight_row(each) for each in plights], nothing=nothing)


@schedule.command()
@click.argument("name", required=False)
@deploy_options
@click.option("-n", "--lines", "limit", type=click.IntRange(1), help="How many back; default: 30, or all with --since.")
@click.option("--since", metavar="TIME", help="What is newer: 90s, 30m, 2h, 3d, 1w, or a time in UTC.")
@json_option
def runs(
    name: str | None, app: str | None, deploy_name: str, limit: int | None, since: str | None, as_json: bool
) -> None:
    """List the runs of what is scheduled, oldest first.

    Also those that were skipped, and why. What they wrote is in the logs: trivet logs --ps NAME.

    \b
    Examples:
      trivet schedule runs
      trivet schedule runs nightly --since 3d --json
    """
    place = installation()
    after = parse_moment(since) if since is not None else ""
    found = flow.list_runs(place, known_deploy(place, app, deploy_name), name)
    found = tuple(run for run in found if (run.ended or run.began or "") >= after)
    chosen = found[-(limit or 30) :] if limit is not None or since is None else found
    if as_json:
        print_json([to_json(run) for run in chosen])
    else:
        print_table(_RUNS, [_run_row(run) for run in chosen], nothing="Nothing has run yet.")


@schedule.command()
@click.argument("name")
@deploy_options
@reason_option
@json_option
def run(name: str, app: str | None, deploy_name: str, reason: str, as_json: bool) -> int:
    """Run something scheduled now, and wait for its end.

    The supervisor runs it, as at its times: it goes on if you interrupt the command. Ends with status 1 if it fails.

    \b
    Examples:
      trivet schedule run nightly
    """
    place = installation(reason=reason)
    deploy = known_deploy(place, app, deploy_name)
    with view(verbose=False, quiet=False) as progress:
        environments.restore_unsupervised(place, progress)
    ran = flow.run_now(place, deploy, name, lambda what: click.echo(f"{what} runs", err=True))
    if as_json:
        print_json(to_json(ran))
    else:
        for line in ran.output:
            click.echo(f"  {visible(line)}", err=True)
        click.echo(f"{ran.process} {_outcome(ran)}{_took(ran, ' after ')}")
    return 0 if ran.outcome == "succeeded" else 1


def _plight_document(plight: Plight) -> dict[str, object]:
    facts = {"release": plight.release, "next": plight.next, "why_not": plight.why_not or None}
    return {**to_json(plight.scheduled), **facts, "last": to_json(plight.last)}


def _plight_row(plight: Plight) -> tuple[str, ...]:
    scheduled, last = plight.scheduled, plight.last
    coming = _short(plight.next) if plight.next else f"- ({plight.why_not})" if plight.why_not else "-"
    began = _short(last.began or last.ended) if last is not None else "-"
    return (scheduled.name, scheduled.cron, scheduled.time_zone, coming, began, _outcome(last) if last else "-")


def _run_row(run: ScheduledRun) -> tuple[str, ...]:
    planned = _short(run.planned) if run.planned else f"by {run.by}" if run.by else "-"
    release = f"v{run.release}" if run.release else "-"
    return (planned, _short(run.began), _took(run) or "-", release, run.process or run.name, _outcome(run))


def _outcome(run: ScheduledRun) -> str:
    return f"{run.outcome}: {run.how}" if run.how and run.outcome != "succeeded" else run.outcome


def _took(run: ScheduledRun, before: str = "") -> str:
    return f"{before}{run.duration_s:.1f} s" if run.duration_s is not None else ""


def _short(at: str | None) -> str:
    return f"{at[:19]}Z" if at else "-"


COMMANDS = (schedule,)
