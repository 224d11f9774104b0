"""`host`."""

import os

import click

from trivet.cli.options import json_option
from trivet.cli.output import print_json
from trivet.cli.place import installation
from trivet.errors import InputError
from trivet.flows.boot import Boot, Init, install_boot, plan_boot, uninstall_boot


@click.group()
def host() -> None:
    """Have the init system start Trivet at boot.

    \b
    Examples:
      trivet host install --now
      trivet host uninstall
    """


_init = click.option(
    "--init",
    "init",
    type=click.Choice([each.value for each in Init]),
    help="For this init system; default: the one here.",
)
_whose = click.option(
    "--system/--user",
    "for_machine",
    default=None,
    help="Start with the machine, as root; or for this user alone. Default: --system for root.",
)


@host.command("install")
@_init
@_whose
@click.option("--now", is_flag=True, help="Enable it and start it as well.")
@click.option("--print", "only_print", is_flag=True, help="Print the service, and write nothing.")
@click.option("--force", is_flag=True, help="Write over a service of that name that Trivet did not write.")
@json_option
def install(
    init: str | None, for_machine: bool | None, now: bool, only_print: bool, force: bool, as_json: bool
) -> None:
    """Write the service that starts Trivet at boot.

    A systemd unit, of the machine or of this user, or an OpenRC script. The service runs `trivet up --foreground`: after a
    boot it brings back what ran before, and should the supervisor ever end, the next one adopts what goes on running.

    \b
    Examples:
      trivet host install --now
      trivet host install --user --print
      trivet host install --init openrc --print > trivet.init
    """
    boot = _planned(init, for_machine)
    if only_print:
        click.echo(boot.text, nl=False)
        return
    changed = install_boot(boot, now=now, force=force)
    if as_json:
        print_json({"init": boot.init, "path": str(boot.path), "changed": changed, "enabled": now})
        return
    click.echo(f"{'wrote' if changed else 'already there:'} {boot.path}")
    if now:
        click.echo(f"{boot.init} starts it at every boot, and has started it now")
    else:
        click.echo("To start it now and at every boot:", err=True)
        for argv in boot.enable:
            click.echo(f"  {' '.join(argv)}", err=True)


@host.command("uninstall")
@_init
@_whose
def uninstall(init: str | None, for_machine: bool | None) -> None:
    """Stop the service, with everything that Trivet runs, and remove it.

    Apps, releases and config stay; `trivet up` starts them again.

    \b
    Examples:
      trivet host uninstall
    """
    boot = _planned(init, for_machine)
    click.echo(f"removed {boot.path}" if uninstall_boot(boot) else f"there is no {boot.path}")


def _planned(init: str | None, for_machine: bool | None) -> Boot:
    is_root = os.geteuid() == 0
    if for_machine and not is_root:
        raise InputError(
            "Only root can install a service of the machine.", hint="For you alone: trivet host install --user"
        )
    chosen = is_root if for_machine is None else for_machine
    return plan_boot(installation(), Init(init) if init else None, for_machine=chosen)


COMMANDS = (host,)
