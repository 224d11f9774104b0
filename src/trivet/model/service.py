"""What an init system is given, so that Trivet runs whenever the machine does: a systemd unit, or an OpenRC script. Pure.

systemd.service(5), systemd.unit(5), systemd.syntax(7); https://github.com/OpenRC/openrc/blob/master/service-script-guide.md
"""

import shlex
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from trivet.model.frozen import frozen

MARK = "# Written by `trivet host install`, which writes it anew when it is run again."
_STOP_WITHIN_S = 300


@frozen
class Service:
    """`program` is the trivet command, by an absolute path; `environment` what it needs to find its home.

    `for_machine`: it starts with the machine and belongs to root; otherwise it belongs to one user. `in_leaf`: systemd can
    start it in a leaf of the control group that it hands over (from version 254 on), so that limits can be set beside it.
    """

    program: Path
    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    for_machine: bool = True
    in_leaf: bool = False


def systemd_unit(service: Service) -> str:
    """The text of `trivet.service`.

    Only the supervisor is systemd's to kill and start again: what it looks after goes on meanwhile, and is adopted.
    """
    program = _quoted(str(service.program)).replace("$", "$$")  # elsewhere a $ means itself
    lines = [
        MARK,
        "[Unit]",
        "Description=Trivet: the apps of this machine" if service.for_machine else "Description=Trivet: my apps",
        "Documentation=man:systemd.service(5)",
        *(("After=network.target local-fs.target nss-user-lookup.target",) if service.for_machine else ()),
        f"RequiresMountsFor={_quoted(str(service.home))}",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=exec",
        *(f"Environment={_quoted(f'{name}={value}')}" for name, value in service.environment.items()),
        f"ExecStart={program} up --foreground",
        f"ExecReload={program} up",
        f"ExecStop={program} down",
        "Restart=always",
        "RestartSec=0",
        "KillMode=process",
        f"TimeoutStopSec={_STOP_WITHIN_S}",
        "Delegate=yes",
        *(("DelegateSubgroup=supervisor",) if service.in_leaf else ()),
        "TasksMax=infinity",
        *(("OOMScoreAdjust=-500",) if service.for_machine else ()),
        "",
        "[Install]",
        f"WantedBy={'multi-user.target' if service.for_machine else 'default.target'}",
    ]
    return "\n".join(lines) + "\n"


def openrc_script(service: Service) -> str:
    """The text of `/etc/init.d/trivet`; supervise-daemon starts the supervisor again, should it end."""
    program = shlex.quote(str(service.program))
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in service.environment.items())
    return f"""#!/sbin/openrc-run
{MARK}

description="Trivet: the apps of this machine"
supervisor=supervise-daemon
command={program}
command_args="up --foreground"
respawn_max=0
retry="SIGTERM/{_STOP_WITHIN_S}/SIGKILL/5"
{exports}
depend() {{
	need localmount
	use net dns logger
	after firewall
}}
"""


def _quoted(text: str) -> str:
    """As one word of a unit file: its own quotes, and no specifier in it."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{plain}"' if any(character in text for character in " \t'\"\\;") else plain
