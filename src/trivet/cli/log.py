"""`log`."""

from collections.abc import Iterator
from itertools import chain

import click

from trivet.cli.documents import line_document
from trivet.cli.moments import parse_moment
from trivet.cli.options import app_option, only_deploy_option
from trivet.cli.output import print_json_line, print_table
from trivet.cli.place import installation, named_app
from trivet.flows.log import read_log
from trivet.model.names import parse_deploy_name
from trivet.model.story import Line, Window

_LINES = 30


@click.command()
@app_option
@only_deploy_option("Only this deploy's, and what is about the whole app; default: all deploys.")
@click.option("-n", "--lines", "limit", type=click.IntRange(1), help="How many; default: 30, or all with --since.")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option(
    "--since", metavar="TIME", help="What is newer: 90s, 30m, 2h, 3d, 1w, or a time in UTC like 2026-11-23T19:04."
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON, one object a line.")
def log(
    app: str | None, deploy_name: str | None, limit: int | None, everything: bool, since: str | None, as_json: bool
) -> None:
    """Tell the story of an app across its deploys, newest first.

    What was built and released, what failed and why, what crashed, who scaled, stopped and pruned.

    Times are in UTC. Crashes of the same kind in a row are one line.

    \b
    Examples:
      trivet log
      trivet log -d production --since 2h
      trivet log --all --json
    """
    name = parse_deploy_name(deploy_name) if deploy_name is not None else None
    most = None if everything else limit or (None if since is not None else _LINES)
    window = Window(most, parse_moment(since) if since is not None else None, name)
    lines = read_log(installation(), named_app(app), window)
    if as_json:
        for line in lines:
            print_json_line(line_document(line))
        return
    nothing = f"Nothing has happened since {window.since[:19]}Z." if window.since else ""
    print_table(("WHEN", "DEPLOY", "BY", "WHAT"), chain.from_iterable(map(_rows, lines)), nothing=nothing)


def _rows(line: Line) -> Iterator[tuple[str, ...]]:
    yield (f"{line.at[:19]}Z", line.deploy or "-", str(line.act.actor) if line.act else "-", line.told)
    yield from (("", "", "", f"| {text}") for text in line.output)


COMMANDS = (log,)
