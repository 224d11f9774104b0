"""Writing where it does not work, and leading others there."""

import os
import stat
from pathlib import Path

from running import HOME, NAME, OTHER, OWN, PERSON, TARGETS, attempt


def _write_in(*folders: Path | str) -> str:
    refusal = OSError(0, "there is none")
    for folder in folders:
        path = Path(folder) / "hostile-was-here"
        try:
            path.write_text("owned\n")
        except OSError as error:
            refusal = error
        else:
            path.unlink()
            return str(path)
    raise refusal


def _change(*paths: Path | str) -> str:
    refusal = OSError(0, "there is none")
    for path in paths:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
        except OSError as error:
            refusal = error
        else:
            return str(path)
    raise refusal


@attempt("write into its own code")
def write_code() -> str:
    return _write_in(os.getcwd())


@attempt("write into layers, objects, caches and builds")
def write_store() -> str:
    return _write_in(*(HOME / name for name in ("layers", "layers/other", "objects", "cache/shop", "apps/shop/builds")))


@attempt("write into `$TRIVET_HOME` (keys, environments, what apps may read)")
def write_home() -> str:
    return _write_in(*(HOME / name for name in ("", "keys", "env", "apps", "apps/shop", "run", "tmp", "notify")))


@attempt("change which release runs, or what is meant to run")
def change_current() -> str:
    os.rename(OWN / "run/current", OWN / "run/old")
    return "renamed"


@attempt("change status files, formations and the list of users")
def change_status() -> str:
    return _change(HOME / "run/users.json", OWN / "run/status/v1.web.1.json", OTHER / "run/status/v1.web.1.json")


@attempt("write into another app's storage")
def write_others_storage() -> str:
    return _write_in(OTHER / "storage")


@attempt("write into another process's temporary folder")
def write_others_temporary() -> str:
    return _write_in(TARGETS["temporary"])


@attempt("write into the log of another process")
def write_others_log() -> str:
    return _change(OTHER / "run/logs/v1.web.1.log", OWN / "run/logs/v1.web.1.log", HOME / "run/supervisor.log")


@attempt("shorten its own log")
def shorten_log() -> str:
    try:
        os.truncate("/proc/self/fd/1", 0)
    except OSError:
        os.ftruncate(1, 0)
    return "shortened"


@attempt("change what it has written to its own log")
def change_log() -> str:
    place = os.fstat(1).st_size
    os.write(1, b"this is what it said\n")
    log = os.open("/proc/self/fd/1", os.O_WRONLY)
    try:
        os.pwrite(log, b"that", place)
    finally:
        os.close(log)
    return "changed"


@attempt("write into a person's home (`~/.profile`, `~/.ssh/authorized_keys`)")
def write_person() -> str:
    return _change(PERSON / ".profile", PERSON / ".ssh/authorized_keys") or _write_in(PERSON)


@attempt("leave something for cron, at or systemd to start")
def leave_job() -> str:
    system = ("/var/spool/cron/crontabs", "/var/spool/cron/atjobs", "/etc/cron.d", "/etc/systemd/system")
    return _write_in(*system, PERSON / ".config/systemd/user")


@attempt("write into the system (`/etc`, `/usr`, `/opt`)")
def write_system() -> str:
    return _write_in("/etc", "/usr/local/bin", "/opt", "/var/tmp")


@attempt("write into the machine's `/tmp`")
def write_machines_temporary() -> str:
    return _write_in("/tmp")


@attempt("change shared memory of another app in `/dev/shm`")
def change_shared_file() -> str:
    return _change(f"/dev/shm/{NAME}")


@attempt("write to a terminal")
def write_terminal() -> str:
    os.close(os.open(TARGETS["terminal"], os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK))
    return str(TARGETS["terminal"])


@attempt("write settings of the kernel (`core_pattern`, `sysrq-trigger`)")
def write_setting() -> str:
    return _change("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/vm/swappiness")


@attempt("leave its control group, or change one")
def write_control_group() -> str:
    found = (path for top in ("/sys/fs/cgroup",) for path in Path(top).rglob("cgroup.procs"))
    return _change(*(path for path, _ in zip(found, range(50), strict=False)))


@attempt("be spared when memory is short (`oom_score_adj`)")
def be_spared() -> str:
    Path("/proc/self/oom_score_adj").write_text("-1000")
    return "spared"


@attempt("change modes, owner and times of its own code")
def change_mode() -> str:
    path = Path("running/__init__.py")
    path.chmod(stat.S_IMODE(path.stat().st_mode))
    return str(path)


@attempt("change modes, owner and times of files of others")
def change_others_mode() -> str:
    path = OTHER / "storage/secret"
    path.chmod(stat.S_IMODE(path.stat().st_mode))
    return str(path)


@attempt("make a hard link to a file of another app, or move it")
def take_file() -> str:
    mine = Path(os.environ["TMPDIR"]) / "stolen"
    try:
        os.link(OTHER / "storage/secret", mine)
    except OSError:
        os.rename(OTHER / "storage/secret", mine)
        os.rename(mine, OTHER / "storage/secret")
    return str(mine)


@attempt("reach a file of another app by a symbolic link")
def follow_link() -> str:
    link = Path(os.environ["TMPDIR"]) / "link"
    link.unlink(missing_ok=True)
    link.symlink_to(OTHER / "storage/secret")
    return link.read_text()


@attempt("make a device file")
def make_device() -> str:
    path = Path(os.environ["TMPDIR"]) / "disk"
    os.mknod(path, 0o600 | stat.S_IFBLK, os.makedev(8, 0))
    return str(path)


@attempt("give a file of its own to somebody else")
def give_away() -> str:
    path = Path(os.environ["TMPDIR"]) / "given"
    path.write_text("")
    os.chown(path, 65533, 65533)
    return str(path)
