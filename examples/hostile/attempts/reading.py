"""Reading what is none of its business."""

import os
from pathlib import Path

from attempts import HOME, PERSON, PID, TARGETS, attempt


def _first_line(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.readline(80)


def _any_file_below(folder: Path) -> str:
    return next(str(path) for path in folder.rglob("*")) if os.listdir(folder) else ""


@attempt("read variables of the caller's environment")
def read_own_environment() -> str:
    if found := [name for name, value in os.environ.items() if "canary" in value]:
        return " ".join(found)
    raise OSError(0, "not there")


@attempt("read the environment of every process it sees")
def read_environments() -> str:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            text = Path("/proc", pid, "environ").read_bytes()
        except OSError:
            continue
        if b"canary" in text:
            return pid
    raise OSError(0, "nowhere")


@attempt("read `/proc/PID/environ` of a process outside")
def read_environment() -> bytes:
    return _first_line(Path(f"/proc/{PID}/environ"))


@attempt("read `/proc/PID/cmdline` of a process outside")
def read_command_line() -> bytes:
    return _first_line(Path(f"/proc/{PID}/cmdline"))


@attempt("read the memory of a process outside (`/proc/PID/mem`)")
def read_memory() -> str:
    with open(f"/proc/{PID}/mem", "rb") as memory:
        return memory.name


@attempt("go through `/proc/PID/root` of a process outside")
def enter_root() -> list[str]:
    return os.listdir(f"/proc/{PID}/root/")


@attempt("go through `/proc/PID/cwd` of a process outside")
def enter_directory() -> list[str]:
    return os.listdir(f"/proc/{PID}/cwd/")


@attempt("go through open files of a process outside (`/proc/PID/fd`)")
def enter_descriptors() -> list[str]:
    return [os.readlink(f"/proc/{PID}/fd/{name}") for name in os.listdir(f"/proc/{PID}/fd")]


@attempt("go out through descriptors that were left open")
def use_left_descriptors() -> str:
    for name in os.listdir("/proc/self/fd"):
        try:
            target = Path("/proc/self/fd", name).readlink()
        except FileNotFoundError:  # the one through which they are listed
            continue
        if int(name) > 2:
            return f"{name} {target}"
    raise OSError(0, "none was left open")


@attempt("read the environment of the first process it sees (`/proc/1/environ`)")
def read_first_environment() -> bytes:
    text = Path("/proc/1/environ").read_bytes()
    if b"canary" in text:
        return text
    raise OSError(0, "not there")


@attempt("go out through `/proc/1/root`")
def enter_first_root() -> list[str]:
    return [str(path) for path in (Path(f"/proc/1/root{PERSON}"),) if list(path.iterdir())]


@attempt("read the ledger and the config (`trivet.db`)")
def read_ledger() -> bytes:
    return _first_line(HOME / "trivet.db")


@attempt("read the config of a release, as it is sealed (`env.age`)")
def read_config() -> bytes:
    return _first_line(HOME / "apps/other/deploys/production/releases/v1/env.age")


@attempt("read the key to the config (`keys/config.key`)")
def read_config_key() -> bytes:
    return _first_line(HOME / "keys/config.key")


@attempt("read the environment of a release (`env/`)")
def read_plain_config() -> bytes:
    return _first_line(HOME / "env/other/production/v1.json")


@attempt("read another app's cache")
def read_cache() -> bytes:
    return _first_line(HOME / "cache/other/file")


@attempt("read another app's layers")
def read_layer() -> bytes:
    return _first_line(HOME / "layers/other/file")


@attempt("read the objects of the store")
def read_object() -> bytes:
    return _first_line(HOME / "objects/ca/nary")


@attempt("read the scratch folder of another build")
def read_scratch() -> bytes:
    return _first_line(Path(TARGETS["others_scratch"]) / "file")


@attempt("read the repository's working tree")
def read_repository() -> bytes:
    return _first_line(Path(TARGETS["repository"]) / ".git/config")


@attempt("read `~/.ssh/id_ed25519`")
def read_ssh_key() -> bytes:
    return _first_line(PERSON / ".ssh/id_ed25519")


@attempt("read `~/.aws/credentials`")
def read_aws() -> bytes:
    return _first_line(PERSON / ".aws/credentials")


@attempt("read `~/.netrc`")
def read_netrc() -> bytes:
    return _first_line(PERSON / ".netrc")


@attempt("read `~/.npmrc`")
def read_npmrc() -> bytes:
    return _first_line(PERSON / ".npmrc")


@attempt("list the home of whoever builds")
def list_person() -> list[str]:
    return os.listdir(PERSON)


@attempt("read `/etc/shadow`")
def read_shadow() -> bytes:
    return _first_line(Path("/etc/shadow"))


@attempt("read the machine's `/run`")
def list_run() -> list[str]:
    return os.listdir("/run")


@attempt("read shared memory of others in `/dev/shm`")
def read_shared_file() -> bytes:
    return _first_line(Path(f"/dev/shm/{TARGETS['abstract']}"))


@attempt("read a disk past its file system")
def read_disk() -> bytes:
    disks = [name for name in ("vda", "sda", "nvme0n1") if Path("/dev", name).exists()]
    return _first_line(Path("/dev", disks[0] if disks else "vda"))


@attempt("read the kernel's messages and memory")
def read_kernel() -> bytes:
    for name in ("/dev/kmsg", "/dev/mem", "/proc/kcore", "/proc/kmsg"):
        try:
            return _first_line(Path(name))
        except OSError as error:
            refusal = error
    raise refusal


@attempt("read what a person types at the terminal")
def read_terminal() -> int:
    return os.open(TARGETS["terminal"], os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
