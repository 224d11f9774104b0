"""`top`."""

import contextlib
import sys

import click

from trivet.cli.documents import load_document
from trivet.cli.live import Table, can_draw, screen
from trivet.cli.options import deploy_options, json_option
from trivet.cli.output import age, print_json, print_table
from trivet.cli.place import installation, known_deploy
from trivet.cli.waiting import wait
from trivet.errors import SupervisorUnreachable
from trivet.flows.load import Meter
from trivet.model.load import DeployLoad, Load, ProcessLoad
from trivet.model.text import size

_HEADINGS = ("PROCESS", "PID", "STATE", "CPU", "MEMORY", "RESTARTS", "UP", "REQUESTS", "IN FLIGHT", "RELEASE")


@click.command()
@deploy_options
@click.option("--all", "everything", is_flag=True, help="The processes of every app.")
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(0.1, 3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to count before it is drawn anew, or shown once.",
)
@click.option("--once", is_flag=True, help="Show it once; so it is without a terminal, too.")
@json_option
def top(app: str | None, deploy_name: str, everything: bool, interval_s: float, once: bool, as_json: bool) -> None:
    """Show what the processes use, and what comes in at the door.

    CPU is of one core. CPU and memory are of a process and of all that it has started. Connections and
    requests are those at the front door. It is drawn anew until q or Ctrl-C is pressed.

    \b
    Examples:
      trivet top
      trivet top --all --interval 5
      trivet top --once --json
    """
    place = installation()
    meter = Meter(place, None if everything else known_deploy(place, app, deploy_name))
    if once or as_json or not can_draw():
        wait(output=sys.stdout, timeout_s=interval_s)
        _show(meter.read(), everything=everything, as_json=as_json)
        return
    with screen(whole=True) as shown:
        shown.draw(_table(meter.read(), everything=everything, is_first=True))
        while shown.wait(interval_s):
            with contextlib.suppress(SupervisorUnreachable):  # it ended just now: the next look says so
                shown.draw(_table(meter.read(), everything=everything))


def _show(load: Load, *, everything: bool, as_json: bool) -> None:
    if as_json:
        print_json(load_document(load))
        return
    table = _table(load, everything=everything)
    for line in table.above:
        click.echo(line)
    print_table(table.headings, table.rows, nothing=table.nothing)


def _table(load: Load, *, everything: bool, is_first: bool = False) -> Table:
    """`is_first`: so short a time has passed that what is counted by the second means nothing."""
    first = ("DEPLOY",) if everything else ()
    rows = [((str(each.status.deploy),) if everything else ()) + _row(each, is_first) for each in load.processes]
    above = tuple(_door(each, is_first) for each in load.deploys)
    return Table((*first, *_HEADINGS), rows, above=above, nothing="No processes.")


def _door(load: DeployLoad, is_first: bool) -> str:
    rate = "" if is_first else f"{load.requests_per_s:.1f} requests/s, "
    return (
        f"{load.deploy}: {load.connections} connections, {rate}{load.in_flight} in flight, "
        f"{load.held} held, {load.refused} refused"
    )


def _row(load: ProcessLoad, is_first: bool) -> tuple[str, ...]:
    status = load.status
    return (
        status.process,
        str(status.pid or "-"),
        status.state.value,
        "-" if load.cpu_percent is None or is_first else f"{load.cpu_percent:.1f} %",
        size(load.memory_bytes),
        str(status.restarts),
        age(status.since),
        "-" if load.requests_per_s is None or is_first else f"{load.requests_per_s:.1f}/s",
        "-" if load.in_flight is None else str(load.in_flight),
        f"v{status.release}",
    )


COMMANDS = (top,)
