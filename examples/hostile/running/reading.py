"""Reading what is none of its business."""

import os
from pathlib import Path

from running import HOME, NAME, OTHER, OWN, PERSON, TARGETS, attempt, on_any


def _first_line(path: Path | str) -> bytes:
    with open(path, "rb") as file:
        return file.readline(80)


def _any_of(*paths: Path) -> str:
    refusal = OSError(0, "there is none")
    for path in paths:
        try:
            _first_line(path)
        except OSError as error:
            refusal = error
        else:
            return str(path)
    raise refusal


@attempt("read the ledger and the config (`trivet.db`)")
def read_ledger() -> bytes:
    return _first_line(HOME / "trivet.db")


@attempt("read the keys (`keys/`)")
def read_key() -> bytes:
    return _first_line(HOME / "keys/config.key")


@attempt("read the environment of another app's release (`env/`)")
def read_others_environment_file() -> bytes:
    return _first_line(HOME / "env/blog/production/v1.json")


@attempt("read the environment of its own release (`env/`)")
def read_own_environment_file() -> bytes:
    return _first_line(HOME / "env/shop/production/v1.json")


@attempt("read release folders, its own too")
def read_release() -> str:
    return _any_of(OTHER / "releases/v1/release.json", OWN / "releases/v1/release.json")


@attempt("read who is notified of releases (`notify/`)")
def read_subscribers() -> bytes:
    return _first_line(HOME / "notify/subscribers.json")


@attempt("read the objects of the store, and caches of builds")
def read_store() -> str:
    return _any_of(HOME / "objects/ca/nary", HOME / "cache/shop/file", HOME / "cache/blog/file")


@attempt("read another app's code (bundle and layers)")
def read_others_code() -> str:
    return _any_of(HOME / "apps/blog/builds/000000000001/bundle/app/secret.py", HOME / "layers/other/file")


@attempt("read another app's storage")
def read_others_storage() -> bytes:
    return _first_line(OTHER / "storage/secret")


@attempt("read another process's temporary folder")
def read_others_temporary() -> bytes:
    return _first_line(Path(TARGETS["temporary"]) / "secret")


@attempt("read logs of other processes")
def read_logs() -> str:
    names = (OTHER / "run/logs/v1.web.1.log", OWN / "run/logs/v1.web.1.log", HOME / "run/supervisor.log")
    return _any_of(*names)


@attempt("read what runs (`run/`: status, formation, events)")
def read_status() -> str:
    return _any_of(HOME / "run/users.json", OTHER / "run/status/v1.web.1.json", OWN / "run/status/v1.web.1.json")


@attempt("list the folders of `$TRIVET_HOME`")
def list_home() -> str:
    listed: list[str] = []
    refusal = OSError(0, "there is none")
    for path in (
        HOME,
        HOME / "apps",
        HOME / "layers",
        HOME / "tmp",
        HOME / "run",
        OTHER,
        OTHER / "storage",
        HOME / "env",
    ):
        try:
            listed.extend(os.listdir(path))
        except OSError as error:
            refusal = error
    if not listed:
        raise refusal
    return " ".join(listed)


@attempt("tell whether a file of another app is there")
def look_for_others_file() -> int:
    return (OTHER / "storage/secret").stat().st_size


@attempt("read a person's keys and passwords (`~/.ssh`, `~/.aws`, `~/.netrc`)")
def read_person() -> str:
    return _any_of(*(PERSON / name for name in (".ssh/id_ed25519", ".aws/credentials", ".netrc")))


@attempt("list a person's home")
def list_person() -> list[str]:
    return os.listdir(PERSON)


@attempt("read `/etc/shadow`")
def read_shadow() -> bytes:
    return _first_line("/etc/shadow")


@attempt("read the machine's `/tmp`")
def read_machines_temporary() -> bytes:
    return _first_line(TARGETS["file"])


@attempt("read shared memory of another app in `/dev/shm`")
def read_shared_file() -> bytes:
    return _first_line(f"/dev/shm/{NAME}")


@attempt("read a disk past its file system")
def read_disk() -> bytes:
    disks = [name for name in ("vda", "sda", "nvme0n1") if os.path.lexists(f"/dev/{name}")]
    return _first_line(f"/dev/{disks[0] if disks else 'vda'}")


@attempt("read the kernel's messages and memory")
def read_kernel() -> str:
    return _any_of(*map(Path, ("/dev/kmsg", "/dev/mem", "/proc/kcore", "/proc/kmsg")))


@attempt("read what a person types at the terminal")
def read_terminal() -> str:
    os.close(os.open(TARGETS["terminal"], os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK))
    return str(TARGETS["terminal"])


@attempt("read the caller's variables in its own environment")
def read_own_environment() -> str:
    if found := [name for name, value in os.environ.items() if "canary" in value]:
        return " ".join(found)
    raise OSError(0, "not there")


@attempt("read `/proc/PID/environ` of other processes")
def read_environment() -> str:
    return on_any(lambda pid: _first_line(f"/proc/{pid}/environ"))


@attempt("read the memory of other processes (`/proc/PID/mem`)")
def read_memory() -> str:
    return on_any(lambda pid: _first_line(f"/proc/{pid}/maps") and os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY)))


@attempt("go through `/proc/PID/root` and `/proc/PID/cwd` of other processes")
def enter_root() -> str:
    def enter(pid: int) -> None:
        try:
            os.listdir(f"/proc/{pid}/root/")
        except OSError:
            os.listdir(f"/proc/{pid}/cwd/")

    return on_any(enter)


@attempt("go through open files of other processes (`/proc/PID/fd`)")
def enter_descriptors() -> str:
    return on_any(lambda pid: [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")])


@attempt("read the command line of other processes (`/proc/PID/cmdline`)")
def read_command_line() -> str:
    return on_any(lambda pid: _first_line(f"/proc/{pid}/cmdline"))


@attempt("go out through descriptors that were left open")
def use_left_descriptors() -> str:
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:  # the one through which they are listed
            continue
        if int(name) > 2:
            return f"{name} {target}"
    raise OSError(0, "none was left open")
