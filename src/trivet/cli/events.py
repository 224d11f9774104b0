"""`events`."""

import contextlib
import sys
from collections.abc import Callable, Iterable
from functools import partial

import click

from trivet.cli.documents import event_document
from trivet.cli.moments import parse_moment
from trivet.cli.options import app_option, only_deploy_option
from trivet.cli.output import Columns, print_json_line
from trivet.cli.place import installation, named_app
from trivet.cli.waiting import is_read, wait
from trivet.errors import InputError
from trivet.flows import events as events_flow
from trivet.flows.events import Scope
from trivet.flows.overview import is_up
from trivet.model.event import Event, EventKind, Told
from trivet.model.names import parse_deploy_name

_LINES = 30
_EXITED = "exited"  # every kind of end of a process
_KINDS = (*(kind.value for kind in EventKind), _EXITED)
_WIDTHS = (20, 16, 7, 10, 4)

Show = Callable[[Iterable[Told]], None]


@click.command()
@app_option
@only_deploy_option("Only this deploy's; default: all deploys of the app.")
@click.option("--all", "everything", is_flag=True, help="The events of every app.")
@click.option("-n", "--lines", "limit", type=click.IntRange(0), help="How many back; default: 30, or all with --since.")
@click.option(
    "--since", metavar="TIME", help="What is newer: 90s, 30m, 2h, 3d, 1w, or a time in UTC like 2026-11-23T19:04."
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(_KINDS),
    metavar="KIND",
    help=f"Only this kind; repeatable. {_EXITED}: every end of a process. The kinds: {', '.join(EventKind)}.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on as things happen; Ctrl-C ends it.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, one object a line.")
def events(
    app: str | None,
    deploy_name: str | None,
    everything: bool,
    limit: int | None,
    since: str | None,
    kinds: tuple[str, ...],
    follow: bool,
    as_json: bool,
) -> None:
    """Show what happens to processes, as it happens with -f.

    They are started and ready, exit with a status or a signal, are restarted; a release is switched to, or fails.

    Oldest first, in UTC: of all deploys of the app, or of one. Following goes on across releases and deploys, and
    whatever becomes of the supervisor.

    \b
    Examples:
      trivet events -f
      trivet events --kind exited --since 2h
      trivet events -f --json --all | jq -r .kind
    """
    place = installation()
    journals = events_flow.open_journals(place, _scope(app, deploy_name, everything=everything))
    show = (
        _as_json
        if as_json
        else partial(_as_columns, Columns(("WHEN", "DEPLOY", "RELEASE", "PROCESS", "WHAT"), _WIDTHS))
    )
    since_at = parse_moment(since) if since is not None else ""
    most = limit if limit is not None or since is not None else _LINES
    with contextlib.closing(journals), contextlib.suppress(KeyboardInterrupt):
        past = [told for told in journals.news() if _is_of(told, kinds) and told.event.at >= since_at]
        show(past if most is None else past[len(past) - most if most < len(past) else 0 :])
        if not follow:
            if not past and not as_json:
                click.echo("Nothing has happened.", err=True)
            return
        if not is_up(place):
            click.echo("The supervisor is not running: nothing is told of until `trivet up`.", err=True)
        while is_read(sys.stdout):
            wait(journals.fileno(), output=sys.stdout)
            show(told for told in journals.news() if _is_of(told, kinds))


def _scope(app: str | None, deploy_name: str | None, *, everything: bool) -> Scope:
    if everything and (app is not None or deploy_name is not None):
        raise InputError("--all is every app; -a and -d are one.", hint="Leave out one of them.")
    if everything:
        return Scope()
    return Scope(named_app(app), parse_deploy_name(deploy_name) if deploy_name is not None else None)


def _is_of(told: Told, kinds: tuple[str, ...]) -> bool:
    return not kinds or told.event.kind in kinds or (_EXITED in kinds and told.event.kind.is_exit)


def _as_json(told: Iterable[Told]) -> None:
    for each in told:
        print_json_line(event_document(each))


def _as_columns(columns: Columns, told: Iterable[Told]) -> None:
    columns.print([_row(each) for each in told])


def _row(told: Told) -> tuple[str, ...]:
    event = told.event
    release = f"v{event.release}" if event.release else "-"
    return (f"{event.at[:19]}Z", str(told.deploy), release, event.process or "-", _what(event))


def _what(event: Event) -> str:
    """The event in words: "crashed: exited with 3 after 12.1 s (pid 4711)"."""
    counts = _counts(event)
    details = " ".join(filter(None, (counts, event.how)))
    return "".join(
        (
            event.kind.replace("_", " "),
            f": {details}" if details else "",
            f" after {event.after_s:.1f} s" if event.after_s is not None else "",
            f" (pid {event.pid})" if event.pid is not None else "",
            f" by {event.by.actor}" if event.by else "",
            f": {event.by.reason}" if event.by and event.by.reason else "",
        )
    )


def _counts(event: Event) -> str:
    before = event.before or {}
    return ", ".join(f"{name} {before.get(name, 0)} → {count}" for name, count in (event.counts or {}).items())


COMMANDS = (events,)
