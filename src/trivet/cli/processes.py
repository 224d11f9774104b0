"""`ps`, `logs`, `run`, `scale`, `restart`, `stop`, `start`."""

import contextlib
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import click

from trivet.cli import suggestions
from trivet.cli.documents import process_document
from trivet.cli.live import Table, check_terminal, screen
from trivet.cli.moments import parse_moment
from trivet.cli.options import (
    RELEASE,
    deploy_options,
    json_option,
    reason_option,
    view,
    wait_option,
)
from trivet.cli.output import age, print_json, print_json_line, print_notes, print_table, seconds_since, visible
from trivet.cli.place import installation, known_deploy
from trivet.errors import InputError, SupervisorUnreachable
from trivet.flows import environments, overview
from trivet.flows import scale as formation_flow
from trivet.flows.events import Scope, open_journals
from trivet.flows.installation import Installation
from trivet.flows.run_once import RunRequest, run_once
from trivet.model.logs import LogChoice, LogLine
from trivet.model.names import Deploy
from trivet.model.run import ProcessState, ProcessStatus
from trivet.model.text import size

_LINES = 100
_HEADINGS = ("PROCESS", "PID", "STATE", "SINCE", "RESTARTS", "MEMORY", "RELEASE", "LAST EXIT")
_REDRAWN_S = 2.0
_LOOP_RESTARTS, _LOOP_UP_S = 3, 10.0
_COUNT_DIGITS = 4
_PALETTE = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_yellow")


@click.command()
@deploy_options
@click.option("--all", "everything", is_flag=True, help="The processes of every app.")
@click.option("-w", "--watch", is_flag=True, help="Draw the list anew whenever something happens; q or Ctrl-C ends it.")
@json_option
def ps(app: str | None, deploy_name: str, everything: bool, watch: bool, as_json: bool) -> None:
    """List the processes of a deploy.

    The memory is of a process and of all that it has started.

    \b
    Examples:
      trivet ps
      trivet ps --watch
      trivet ps --all --json
    """
    place = installation()
    deploy = None if everything else known_deploy(place, app, deploy_name)
    if watch:
        _watch(place, deploy, as_json=as_json)
    elif as_json:
        statuses = overview.list_processes(place, deploy)
        words = overview.list_last_words(place, statuses)
        print_json([process_document(status, words.get(status, ())) for status in statuses])
    else:
        table = _list(place, deploy)
        print_table(table.headings, table.rows, nothing=table.nothing)
        for line in table.below:
            click.echo(line, err=True)
        print_notes(overview.list_troubles(place, deploy))


@click.command()
@deploy_options
@click.option("-f", "--follow", is_flag=True, help="Go on as lines are written; Ctrl-C ends it.")
@click.option("-n", "--lines", type=click.IntRange(0), help="How many lines back; default: 100, or all with --since.")
@click.option(
    "--ps", "names", multiple=True, metavar="NAME", help="Only this process (web.1) or type (web); repeatable."
)
@click.option("--release", "number", type=RELEASE, help="Only what this release's processes wrote.")
@click.option(
    "--since", metavar="TIME", help="Only what is newer: 90s, 10m, 2h, 3d, or a time in UTC like 2026-11-23T19:04."
)
@click.option("--until", metavar="TIME", help="Only what is older; the same.")
@click.option("--grep", "text", metavar="TEXT", help="Only lines that hold this text.")
@json_option
def logs(app: str | None, deploy_name: str, follow: bool, as_json: bool, **chosen: Any) -> None:
    """Show what the processes of a deploy wrote, by time.

    With -f, also what those of later releases write. With --json, one object a line.

    \b
    Examples:
      trivet logs -f
      trivet logs -n 500 --ps worker
      trivet logs --since 10m --grep ERROR
      trivet logs --release v12 --json
    """
    place = installation()
    deploy = known_deploy(place, app, deploy_name)
    lines = overview.read_logs(place, deploy, _choice(follow=follow, **chosen), follow=follow)
    try:
        _show(lines, as_json=as_json)
    except KeyboardInterrupt:
        return


def _choice(
    *,
    follow: bool,
    lines: int | None,
    names: tuple[str, ...],
    number: int | None,
    since: str | None,
    until: str | None,
    text: str | None,
) -> LogChoice:
    if follow and until is not None:
        raise InputError("--until would end what -f goes on with.", hint="Leave out one of the two.")
    most = _LINES if lines is None and since is None else lines
    begin, end = (parse_moment(moment) if moment is not None else None for moment in (since, until))
    return LogChoice(most, names, number, begin, end, text)


def _show(lines: Iterable[LogLine], *, as_json: bool) -> None:
    keep_color = sys.stdout.isatty()
    colors: dict[str, str] = {}
    for line in lines:
        if as_json:
            print_json_line(line)
            continue
        color = colors.setdefault(line.process, _PALETTE[len(colors) % len(_PALETTE)])
        prefix = click.style(f"{line.at[:19]}Z v{line.release} {line.process:<10}|", fg=color)
        click.echo(f"{prefix} {visible(line.text, keep_color=keep_color)}")


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@deploy_options
@click.option("--release", "number", type=RELEASE, help="The release to run in; default: the running one.")
@click.option(
    "--as",
    "kind",
    metavar="TYPE",
    shell_complete=suggestions.process_types,
    help="With the limits of this process type; without a COMMAND, its own.",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="COMMAND...")
@click.pass_context
def run(
    ctx: click.Context,
    app: str | None,
    deploy_name: str,
    number: int | None,
    kind: str | None,
    command: tuple[str, ...],
) -> None:
    """Run a one-off command in a release.

    It has the release's code and config, and may write only where its processes may. It has no limits, unless --as names
    a process type that has some in trivet.toml.

    The command has this terminal if there is one, gets the signals that this command gets, and its exit status is handed on.

    \b
    Examples:
      trivet run python manage.py shell
      trivet run --release v3 env
      trivet run --as worker python manage.py import
      trivet run --as worker
    """
    if not command and kind is None:
        raise click.MissingParameter(ctx=ctx, param=next(each for each in ctx.command.params if each.name == "command"))
    place = installation()
    deploy = known_deploy(place, app, deploy_name)
    with environments.lent(place, deploy, number):
        status = run_once(place, deploy, RunRequest(command, number, kind), lambda note: print_notes((note,)))
    sys.exit(status)


@click.command()
@click.argument("counts", nargs=-1, metavar="[TYPE=COUNT]...", shell_complete=suggestions.counts)
@deploy_options
@reason_option
@wait_option
@json_option
def scale(
    counts: tuple[str, ...], app: str | None, deploy_name: str, reason: str, no_wait: bool, as_json: bool
) -> None:
    """Set how many processes of each type run.

    Without arguments, shows it. Makes no release.

    \b
    Examples:
      trivet scale
      trivet scale web=2 worker=1 -m "the sale begins"
    """
    place = installation(no_wait=no_wait, reason=reason)
    deploy = known_deploy(place, app, deploy_name)
    changes = dict(_parse_count(count) for count in counts)
    if changes:
        environments.restore(place, deploy)
        with view(verbose=False, quiet=False) as progress:
            environments.restore_unsupervised(place, progress)
            formation_flow.scale(place, deploy, changes, progress)
    shown = overview.show_formation(place, deploy)
    if as_json:
        print_json(shown)
    else:
        click.echo(" ".join(f"{name}={count}" for name, count in shown.items()))


@click.command()
@click.argument("process", required=False, metavar="[PROCESS]", shell_complete=suggestions.process_types)
@deploy_options
@reason_option
@wait_option
def restart(process: str | None, app: str | None, deploy_name: str, reason: str, no_wait: bool) -> None:
    """Restart the processes of a deploy.

    All of them, or one type (web), or one process (web.1).

    The whole deploy is restarted as it is deployed: new processes beside the old ones, which end when the new ones are ready.

    \b
    Examples:
      trivet restart
      trivet restart worker.1
    """
    place = installation(no_wait=no_wait, reason=reason)
    deploy = known_deploy(place, app, deploy_name)
    environments.restore(place, deploy)
    with view(verbose=False, quiet=False) as progress:
        environments.restore_unsupervised(place, progress)
        formation_flow.restart(place, deploy, process, progress)
    click.echo(f"{deploy} {process or ''}".rstrip() + " is restarted")


@click.command()
@deploy_options
@reason_option
@wait_option
def stop(app: str | None, deploy_name: str, reason: str, no_wait: bool) -> None:
    """Stop the processes of a deploy, until `trivet start`. Its address answers 503.

    \b
    Examples:
      trivet stop -d staging
    """
    place = installation(no_wait=no_wait, reason=reason)
    deploy = known_deploy(place, app, deploy_name)
    with view(verbose=False, quiet=False) as progress:
        environments.restore_unsupervised(place, progress)
        formation_flow.stop(place, deploy, progress)
    click.echo(f"{deploy} is stopped")


@click.command()
@deploy_options
@reason_option
@wait_option
def start(app: str | None, deploy_name: str, reason: str, no_wait: bool) -> None:
    """Start the processes of a stopped deploy again.

    \b
    Examples:
      trivet start -d staging
    """
    place = installation(no_wait=no_wait, reason=reason)
    deploy = known_deploy(place, app, deploy_name)
    environments.restore(place, deploy)
    with view(verbose=False, quiet=False) as progress:
        environments.restore_unsupervised(place, progress)
        formation_flow.start(place, deploy, progress)
    click.echo(f"{deploy} is started")


def _watch(place: Installation, deploy: Deploy | None, *, as_json: bool) -> None:
    """What has news is told by the journal; the time since and the memory are looked at again every two seconds."""
    hint = "`trivet events -f` tells what happens, with --json as lines of JSON."
    if as_json:
        raise InputError("--watch draws a list and writes no JSON.", hint=hint)
    check_terminal(hint)
    scope = Scope(deploy.app, deploy.name) if deploy is not None else Scope()
    with contextlib.closing(open_journals(place, scope)) as journals, screen(whole=False) as shown:
        journals.skip()
        shown.draw(_watched(place, deploy))
        while shown.wait(_REDRAWN_S, journals.fileno()):
            journals.news()
            with contextlib.suppress(SupervisorUnreachable):  # it ended just now: the next look says so
                shown.draw(_watched(place, deploy))


def _watched(place: Installation, deploy: Deploy | None) -> Table:
    table = _list(place, deploy)
    return replace(table, below=(*table.below, *overview.list_troubles(place, deploy)))


def _list(place: Installation, deploy: Deploy | None) -> Table:
    everything = deploy is None
    is_up = overview.is_up(place)
    statuses = overview.list_processes(place, deploy)
    below = ""
    if not is_up:
        below = "The supervisor is not running: nothing is restarted. `trivet up` starts it."
    elif deploy is not None and overview.is_stopped(place, deploy):
        below = f"{deploy} is stopped: `trivet start` runs it."
    return Table(
        (*(("DEPLOY",) if everything else ()), *_HEADINGS),
        [((str(status.deploy),) if everything else ()) + _row(status) for status in statuses],
        below=(*_last_words(place, statuses), *((below,) if below else ())),
        nothing="No processes." if is_up else "",
    )


def _last_words(place: Installation, statuses: Iterable[ProcessStatus]) -> Iterator[str]:
    """What those wrote that are down, or will be soon, before they crashed."""
    ill = [status for status in statuses if status.state is ProcessState.BACKOFF or _loops(status)]
    for status, lines in overview.list_last_words(place, ill).items() if ill else ():
        yield f"{status.process} of v{status.release} wrote last, before it ended ({status.last_exit}):"
        yield from (f"  | {visible(line)}" for line in lines)


def _row(status: ProcessStatus) -> tuple[str, ...]:
    since = age(status.since)
    return (
        status.process,
        str(status.pid or "-"),
        f"{status.state.value}" + (" (crash loop)" if _loops(status) else ""),
        since,
        str(status.restarts),
        size(status.memory_bytes),
        f"v{status.release}",
        status.last_exit or "",
    )


def _loops(status: ProcessStatus) -> bool:
    """A process that was restarted again and again and has not stayed up since."""
    if status.restarts < _LOOP_RESTARTS:
        return False
    return status.state is ProcessState.BACKOFF or seconds_since(status.since) < _LOOP_UP_S


def _parse_count(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"([A-Za-z][A-Za-z0-9_-]*)=([0-9]+)", text)
    if match is None:
        raise InputError(f"{text!r} is not TYPE=COUNT.", hint="Write, for example: trivet scale web=2 worker=0")
    if len(match[2].lstrip("0")) > _COUNT_DIGITS:
        raise InputError(f"{text!r} is too many: 9999 processes of a type at most.", hint="Choose fewer.")
    return match[1], int(match[2])


COMMANDS = (ps, logs, run, scale, restart, stop, start)
