"""Boot: the init system of this machine starts Trivet, and with it everything that ran before."""

import os
import pwd
import shutil
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from trivet.errors import InputError, MachineError
from trivet.flows.installation import Installation
from trivet.host import files
from trivet.host.command import Command, capture
from trivet.model.frozen import frozen
from trivet.model.service import MARK, Service, openrc_script, systemd_unit

_NOT_OF_THE_SUPERVISOR = ("TRIVET_BY", "TRIVET_DEBUG", "TRIVET_HOME", "TRIVET_REPOSITORY")
_SYSTEMCTL_WITHIN_S = 60.0
_WITH_SUBGROUPS = 254
_ENABLED_IN_OPENRC = Path("/etc/runlevels/default/trivet")


class Init(StrEnum):
    """An init system that can be given a service."""

    SYSTEMD = "systemd"
    OPENRC = "openrc"


@frozen
class Boot:
    """A service for an init system: what is written where, and the commands that make it start now and at every boot."""

    init: Init
    path: Path
    text: str
    enable: tuple[tuple[str, ...], ...]
    disable: tuple[tuple[str, ...], ...]


def plan_boot(installation: Installation, init: Init | None, *, for_machine: bool) -> Boot:
    """What `install_boot` would do; nothing is changed. `init`: None is the one that runs here.

    Raises: InputError, if there is none, or it starts nothing for a user.
    """
    chosen = init or _find_init()
    in_leaf = chosen is Init.SYSTEMD and _version_of_systemd() >= _WITH_SUBGROUPS
    service = Service(_program(), installation.home.root, _environment(installation), for_machine, in_leaf)
    if chosen is Init.SYSTEMD:
        return _systemd(service, installation.caller)
    if not for_machine:
        raise InputError(
            "OpenRC starts services for the machine only, not for one user.",
            hint="As root: trivet host install. As a user, let cron do it: crontab -e, then `@reboot trivet up`.",
        )
    commands = (("rc-update", "add", "trivet", "default"), ("rc-service", "trivet", "start"))
    ends: tuple[tuple[str, ...], ...] = (("rc-service", "trivet", "stop"),)
    if _ENABLED_IN_OPENRC.is_symlink():  # rc-update fails where there is nothing to delete
        ends = (*ends, ("rc-update", "delete", "trivet", "default"))
    return Boot(chosen, Path("/etc/init.d/trivet"), openrc_script(service), commands, ends)


def install_boot(boot: Boot, *, now: bool, force: bool) -> bool:
    """The service is written; with `now` it is enabled and started too. False: it was there already, as it is to be.

    Raises: InputError (there is a service by this name that Trivet did not write), MachineError.
    """
    changed = _is_new(boot, force=force)
    if changed:
        files.make_directories(boot.path.parent)
        files.replace(boot.path, boot.text.encode(), mode=0o755 if boot.init is Init.OPENRC else 0o644)
    if now:
        for argv in boot.enable:
            _do(argv)
    return changed


def uninstall_boot(boot: Boot) -> bool:
    """The service is stopped, with what it runs, and gone. False: there was none. Raises: InputError, MachineError."""
    if not boot.path.exists():
        return False
    _is_new(boot, force=False)
    for argv in boot.disable:
        _do(argv)
    files.remove(boot.path)
    return True


def _systemd(service: Service, caller: Mapping[str, str]) -> Boot:
    systemctl = ("systemctl",) if service.for_machine else ("systemctl", "--user")
    enable: tuple[tuple[str, ...], ...] = (
        (*systemctl, "daemon-reload"),
        (*systemctl, "enable", "--now", "trivet.service"),
    )
    if not service.for_machine:
        enable = (*enable, ("loginctl", "enable-linger"))
    folder = Path("/etc/systemd/system") if service.for_machine else _user_units(caller)
    disable = ((*systemctl, "disable", "--now", "trivet.service"),)
    return Boot(Init.SYSTEMD, folder / "trivet.service", systemd_unit(service), enable, disable)


def _user_units(caller: Mapping[str, str]) -> Path:
    chosen = caller.get("XDG_CONFIG_HOME") or str(
        Path(caller.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir, ".config")
    )
    return Path(chosen) / "systemd" / "user"


def _find_init() -> Init:
    if Path("/run/systemd/system").is_dir():
        return Init.SYSTEMD
    if Path("/run/openrc").is_dir():
        return Init.OPENRC
    raise InputError(
        "Neither systemd nor OpenRC runs on this machine.",
        hint="Let what starts it run `trivet up`, cron for example: crontab -e, then `@reboot trivet up`. "
        "To write a service for another machine: trivet host install --init systemd --print",
    )


def _version_of_systemd() -> int:
    """0 if it cannot be told."""
    try:
        words = capture(Command(("systemctl", "--version"), Path("/"), dict(os.environ))).text.split()
    except MachineError:
        return 0
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0


def _program() -> Path:
    """The trivet command that this is, by an absolute path; its links are kept, an upgrade may change what they lead to."""
    called = Path(sys.argv[0])
    found = called if called.is_absolute() else Path(shutil.which(called.name) or called.absolute())
    return found if found.name == "trivet" and found.exists() else Path(sys.prefix) / "bin" / "trivet"


def _environment(installation: Installation) -> Mapping[str, str]:
    chosen = {
        name: value
        for name, value in sorted(installation.caller.items())
        if name.startswith("TRIVET_") and name not in _NOT_OF_THE_SUPERVISOR
    }
    return {"TRIVET_HOME": str(installation.home.root), **chosen}


def _is_new(boot: Boot, *, force: bool) -> bool:
    try:
        present = boot.path.read_text()
    except FileNotFoundError:
        return True
    except OSError as error:
        raise files.refused(error, f"read {boot.path}") from error
    if MARK not in present and not force:
        raise InputError(
            f"{boot.path} is there already, and `trivet host install` did not write it.",
            hint="Look at it first. `trivet host install --force` writes over it.",
        )
    return present != boot.text


def _do(argv: tuple[str, ...]) -> None:
    answer = capture(Command(argv, Path("/"), dict(os.environ), timeout_s=_SYSTEMCTL_WITHIN_S))
    if answer.status != 0:
        raise MachineError(
            f"`{' '.join(argv)}` failed: {answer.err.strip() or f'exit {answer.status}'}.",
            hint="See what it says by itself, mend that, and run this command again.",
        )
