"""`up`, `down`, `doctor`."""

import sys
from collections import Counter

import click

from trivet import __version__
from trivet.cli.options import json_option, reason_option
from trivet.cli.output import print_json, print_notes
from trivet.cli.place import installation
from trivet.errors import AlteredLayer
from trivet.flows import power
from trivet.flows.doctor import Verdict, examine
from trivet.flows.overview import list_troubles

_MARKS = {Verdict.GOOD: ("ok", "green"), Verdict.WEAK: ("weak", "yellow"), Verdict.BAD: ("bad", "red")}


@click.command()
@click.option(
    "--foreground", is_flag=True, help="Be the supervisor, in this process: for systemd and other init systems."
)
@reason_option
def up(foreground: bool, reason: str) -> None:
    """Start the supervisor, and with it everything that ran before.

    Deploying starts it as well. After a reboot, or in an init script, this is the command. After Trivet was upgraded, the
    supervisor and the front door of the new version take over from those that run; nothing is restarted.

    \b
    Examples:
      trivet up
      trivet up --foreground
    """
    place = installation(reason=reason)
    if foreground:
        power.run_in_foreground(place, lambda notice: click.echo(notice, err=True))
        return
    found = power.up(place)
    counts = Counter(str(status.deploy) for status in found.processes)
    running = ", ".join(f"{deploy} ({count})" for deploy, count in sorted(counts.items()))
    click.echo(f"up: {running}" if running else "up: nothing to run yet")
    if found.replaced is not None:
        click.echo(f"the supervisor, of Trivet {found.version}, took over from {found.replaced}; nothing was restarted")
    elif found.version != __version__:
        click.echo(f"The supervisor that runs is of Trivet {found.version}, and this is {__version__}.", err=True)
    print_notes(list_troubles(place))
    for deploy, error in found.altered.items():
        raise AlteredLayer(f"{deploy} was not started. {error.message}", hint=error.hint, detail=error.detail)
    for deploy, locked in found.locked.items():
        raise type(locked)(f"{deploy} cannot be started. {locked.message}", hint=locked.hint)


@click.command()
@reason_option
def down(reason: str) -> None:
    """Stop the supervisor and everything it runs, until `trivet up`.

    \b
    Examples:
      trivet down
      trivet down -m "moving to another disk"
    """
    click.echo("down" if power.down(installation(reason=reason)) else "nothing was running")


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Say what this machine has, enforces and lacks.

    And how to get what is missing.

    Ends with status 1 if something is missing that Trivet cannot work without.

    \b
    Examples:
      trivet doctor
    """
    findings = examine(installation())
    if as_json:
        print_json(findings)
    else:
        for finding in findings:
            mark, color = _MARKS[finding.verdict]
            click.echo(f"{click.style(f'{mark:<5}', fg=color)} {finding.subject:<12} {finding.detail}")
            if finding.hint:
                click.echo(f"{'':<18} {finding.hint}")
    sys.exit(1 if any(finding.verdict is Verdict.BAD for finding in findings) else 0)


COMMANDS = (up, down, doctor)
