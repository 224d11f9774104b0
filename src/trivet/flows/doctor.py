"""Doctor: what this machine has and enforces, what is missing, and how to get it. Looks only; changes nothing."""

import os
import platform
import shutil
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from trivet.build import describe_confinement
from trivet.errors import TrivetError
from trivet.flows.installation import Installation
from trivet.host import reuseport
from trivet.host.git import Git
from trivet.host.holes import can_punch
from trivet.model.frozen import frozen
from trivet.model.text import size
from trivet.release import Keeping, examine_key, find_environment_place
from trivet.run import Machine, installed, is_newer, version_of
from trivet.run import examine as examine_apps
from trivet.run.log_limits import read_log_limits
from trivet.run.plan import socket_variables

_LITTLE_SPACE_BYTES = 1_000_000_000
_SETTINGS = {"pids": "processes"}
_ALL_CONTROLLERS = 3
_A_FOLDER = "0123456789"  # as long as the name of every process's temporary folder
_MORE_FOR_BUILDS = (
    "Let people have user namespaces (sysctl kernel.unprivileged_userns_clone=1, on Ubuntu "
    "kernel.apparmor_restrict_unprivileged_userns=0), or install bubblewrap."
)


class Verdict(StrEnum):
    """GOOD; WEAK: Trivet works, with less than it could have; BAD: something does not work."""

    GOOD = "good"
    WEAK = "weak"
    BAD = "bad"


@frozen
class Finding:
    """One thing looked at: what was found, and what to do about it ("" if nothing)."""

    subject: str
    verdict: Verdict
    detail: str
    hint: str = ""


def examine(installation: Installation) -> tuple[Finding, ...]:
    """Everything that Trivet relies on, looked at."""
    looks: tuple[Callable[[Installation], Finding], ...] = (
        _system,
        _tools,
        _home,
        _space,
        _logs,
        _sealing,
        _apps,
        _builds,
        _memory,
        _config_key,
        _environments,
        _limits,
        _sockets,
        _supervisor,
    )
    return tuple(_look(look, installation) for look in looks)


def _look(look: Callable[[Installation], Finding], installation: Installation) -> Finding:
    try:
        return look(installation)
    except (OSError, TrivetError) as error:
        hint = error.hint if isinstance(error, TrivetError) else "Run as the owner of TRIVET_HOME, or choose another."
        return Finding(look.__name__.strip("_").replace("_", " "), Verdict.BAD, str(error), hint)


def _system(installation: Installation) -> Finding:
    del installation
    python = f"Python {platform.python_version()} ({sys.executable})"
    return Finding("system", Verdict.GOOD, f"Linux {platform.release()}, {os.cpu_count()} CPUs, {python}")


def _tools(installation: Installation) -> Finding:
    import importlib.metadata  # 10 ms that no other command should pay

    del installation
    try:
        git = Git(Path("/")).ask("--version").text
    except TrivetError as error:
        return Finding("tools", Verdict.BAD, error.message, error.hint)
    return Finding("tools", Verdict.GOOD, f"{git}, uv {importlib.metadata.version('uv')}")


def _home(installation: Installation) -> Finding:
    root = installation.home.root
    present = _present(root)
    if present.is_dir() and os.access(present, os.W_OK | os.X_OK):
        made = "" if present == root else ", not made yet"
        if not socket_variables(installation.home.temporary / _A_FOLDER):
            text = f"{root}{made}: its path is too long for Unix sockets, so that `web` processes get no TRIVET_SOCKET"
            return Finding("home", Verdict.WEAK, text, "They can listen on $PORT; or choose a shorter TRIVET_HOME.")
        return Finding("home", Verdict.GOOD, f"{root}{made}")
    return Finding(
        "home", Verdict.BAD, f"{root} cannot be written", "Run as its owner, or choose another with TRIVET_HOME."
    )


def _present(folder: Path) -> Path:
    """The nearest folder upwards that is there, as far as we may look."""
    return next(path for path in (folder, *folder.parents) if os.path.exists(path))  # noqa: PTH110 - False if forbidden


def _space(installation: Installation) -> Finding:
    root = installation.home.root
    free = shutil.disk_usage(_present(root)).free
    text = f"{free / 1e9:.1f} GB free where {root} lies"
    if free >= _LITTLE_SPACE_BYTES:
        return Finding("disk", Verdict.GOOD, text)
    return Finding("disk", Verdict.WEAK, text, "A build that does not fit fails and changes nothing. Free some space.")


def _logs(installation: Installation) -> Finding:
    root = installation.home.root
    limits = read_log_limits(installation.caller)
    if not can_punch(_present(root)):
        text = f"the file system of {root} cannot give back a part of a file: a log grows until its release is gone"
        return Finding("logs", Verdict.WEAK, text, "ext4, XFS, btrfs and tmpfs can do that.")
    kept = f"{size(limits.size_bytes)} of each process, {size(limits.total_bytes)} of a deploy, {limits.age_s / 86400:g} days"
    return Finding("logs", Verdict.GOOD, f"kept: {kept}")


def _sockets(installation: Installation) -> Finding:
    del installation
    refusal = reuseport.refusal()
    if refusal is None:
        return Finding("sockets", Verdict.GOOD, 'processes can be handed the listening socket (`socket = "inherit"`)')
    text = f'`socket = "inherit"` does not work: a BPF program at a listening socket is refused ({refusal})'
    return Finding(
        "sockets", Verdict.WEAK, text, "The front door relays, as it does by default. Linux has it since 4.6."
    )


def _sealing(installation: Installation) -> Finding:
    sealing = Machine(installation.home).sealing()
    missing = "; ".join(sealing.missing)
    if not sealing.is_there:
        return Finding(
            "sealing",
            Verdict.BAD,
            f"{sealing.level}: {missing}",
            "Use Linux 5.13 or newer with Landlock enabled (lsm=landlock,… on the kernel's command line). "
            "TRIVET_ALLOW_MUTABLE=1 starts apps without this protection.",
        )
    if sealing.missing:
        return Finding(
            "sealing", Verdict.WEAK, f"{sealing.level}: {missing}", "A newer kernel has it; 6.12 and newer have all."
        )
    return Finding("sealing", Verdict.GOOD, f"{sealing.level}: an app's code is read-only at run time, for root too")


def _limits(installation: Installation) -> Finding:
    means = Machine(installation.home).means()
    held = [f"{_SETTINGS.get(name, name)} (control groups v{version})" for name, version in means.controllers.items()]
    enforced = f"enforced are {', '.join((*held, 'files'))}"
    if means.killing:
        text = f"a process ends with all that it started (control groups v{means.killing}); {enforced}"
        if len(held) == _ALL_CONTROLLERS:
            return Finding("limits", Verdict.GOOD, text)
    else:
        text = f"a process ends with its group and with what it left to the supervisor; {enforced}"
    hint = (
        "Control groups that can be written have the rest: as root with cgroup v2 mounted on /sys/fs/cgroup; without root "
        "with Delegate=yes and DelegateSubgroup=supervisor in the unit. docs/how-to/limit-processes.md"
    )
    return Finding("limits", Verdict.WEAK, text, hint)


def _apps(installation: Installation) -> Finding:
    apartness, sees = examine_apps(installation.home), Machine(installation.home).sealing().is_there
    reads = "reads the system and its own alone" if sees else "reads whatever its user may"
    if not apartness.as_users and os.geteuid() == 0:
        return Finding(
            "apps",
            Verdict.WEAK,
            f"run as root, which here can make no other user of a process; each {reads}",
            "Give the container more users, and the capabilities CHOWN, SETGID and SETUID.",
        )
    if apartness.closed is not None:
        return Finding(
            "apps",
            Verdict.WEAK,
            f"each is a user of its own, with the power to pass {apartness.closed}, which is closed to others",
            "Move TRIVET_HOME, for example to /var/lib/trivet, or let others pass: chmod o+x.",
        )
    who = "each is a user of its own, and" if apartness.as_users else "all run as one user; each"
    return Finding("apps", Verdict.GOOD if sees else Verdict.WEAK, f"{who} {reads}")


def _builds(installation: Installation) -> Finding:
    found = describe_confinement(installation.caller)
    if found["network"] == "none" and found["seclusion"] != "landlock":
        text = "a build sees its source, its tools and its cache, and has no network while compiling"
        return Finding("builds", Verdict.GOOD, f"{found['seclusion']}: {text}")
    network = {"none": "", "tcp": ", and other protocols than TCP while compiling"}
    text = f"a build can see other processes{network.get(found['network'], ', and the network while compiling')}"
    return Finding("builds", Verdict.WEAK, f"{found['seclusion']}: {text}", _MORE_FOR_BUILDS)


def _memory(installation: Installation) -> Finding:
    del installation
    if Path("/dev/shm").is_dir() and os.access("/dev/shm", os.W_OK):
        return Finding("/dev/shm", Verdict.GOOD, "there, for apps that share memory")
    return Finding("/dev/shm", Verdict.WEAK, "not writable", "Mount a tmpfs there; Python's multiprocessing needs it.")


def _config_key(installation: Installation) -> Finding:
    home = installation.home
    key = examine_key(home)
    if key is None:
        return Finding("config key", Verdict.GOOD, "none yet; the first `trivet config set` makes one")
    path, keeping = key.place.path, key.place.keeping
    if keeping is not Keeping.FILE and (home.keys / "config.key").exists():
        text = f"{path}, but {home.keys}/config.key lies beside it"
        return Finding("config key", Verdict.WEAK, text, "Keep a copy somewhere else, then remove the file here.")
    if keeping is Keeping.HANDED_OVER:
        return Finding("config key", Verdict.GOOD, f"{path}: handed over by systemd, for this service alone")
    if keeping is Keeping.SEALED:
        return Finding("config key", Verdict.GOOD, f"{path}: bound to this machine, which alone can open it")
    if path.stat().st_mode & 0o077:
        return Finding("config key", Verdict.WEAK, f"{path}: others may read it", f"chmod 600 {path}")
    text = f"{path}: not bound to this machine, so a copy of all of {home.root} opens itself"
    if os.geteuid() == 0 and shutil.which("systemd-creds"):
        return Finding(
            "config key", Verdict.WEAK, text, "docs/how-to/protect-config.md says how systemd-creds binds it."
        )
    return Finding("config key", Verdict.GOOD, text)


def _environments(installation: Installation) -> Finding:
    place = find_environment_place(installation.home)
    if place.in_memory:
        return Finding("environments", Verdict.GOOD, f"in memory: {place.path}")
    hint = "Mount a tmpfs on /run; without root, log in so that XDG_RUNTIME_DIR is there, and `loginctl enable-linger`."
    return Finding("environments", Verdict.WEAK, f"on the disk, in plain: {place.path}", hint)


def _supervisor(installation: Installation) -> Finding:
    machine = Machine(installation.home)
    if not machine.is_up():
        if left := sum(each.pid is not None for each in machine.processes(None)):
            text = f"not running, while {left} of the apps' processes {'does' if left == 1 else 'do'}: nothing is restarted"
            return Finding("supervisor", Verdict.WEAK, text, "Start it: trivet up")
        return Finding("supervisor", Verdict.GOOD, "not running; `trivet up` starts it, and so does a deploy")
    if troubles := [f"{deploy}: {text}" for deploy, text in machine.troubles().items()]:
        return Finding("supervisor", Verdict.WEAK, "; ".join(troubles), "The rest runs as it should.")
    running = machine.version() or ""
    if running != installed():
        return _other_version(running)
    return Finding(
        "supervisor",
        Verdict.GOOD,
        f"running, of Trivet {version_of(running)}, with {len(machine.processes(None))} of the apps' processes",
    )


def _other_version(running: str) -> Finding:
    own = installed()
    text = f"running, of Trivet {version_of(running)}; installed is {version_of(own)}, with other code"
    hint = "`trivet up` replaces it, and nothing that runs is restarted."
    if is_newer(running, own):
        hint = "Use that version's `trivet`; this one would have to end everything first: trivet down && trivet up"
    return Finding("supervisor", Verdict.WEAK, text, hint)
