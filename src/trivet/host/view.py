"""View: what of the machine a confined command sees: the system, some more to read, a few folders to write.

The system is what every program of the machine needs, and holds no secret of a person or of another app: programs and
libraries, and of /etc the files that tools look things up in.
"""

from collections.abc import Iterator
from pathlib import Path

from trivet.model.frozen import frozen

_PROGRAMS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix/store", "gnu/store")
_LOOKED_UP = (
    *("alternatives", "bash.bashrc", "ca-certificates", "ca-certificates.conf", "crypto-policies", "debian_version"),
    *("fonts", "gai.conf", "group", "host.conf", "hostname", "hosts", "inputrc", "java-17-openjdk"),
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.alias", "locale.conf", "localtime", "magic", "magic.mime"),
    *(
        "mime.types",
        "networks",
        "nsswitch.conf",
        "os-release",
        "passwd",
        "perl",
        "php",
        "pki/ca-trust",
        "pki/tls/certs",
    ),
    *("profile", "protocols", "python3", "resolv.conf", "rpc", "services", "shells", "ssl/certs", "ssl/openssl.cnf"),
    *("terminfo", "timezone", "xml"),
)
_KERNEL = ("sys/devices/system/cpu", "sys/devices/system/node", "sys/fs/cgroup", "sys/kernel/mm/transparent_hugepage")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


@frozen
class View:
    """What a command sees beside the system: `readable` files and folders, `writable` folders; the network or not.

    `root` is an empty folder that the command cannot write, for its tree to stand on where it has one of its own.
    `temporary` is the writable folder that stands for /tmp and /var/tmp where the machine can show it there.
    """

    root: Path
    temporary: Path
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    network: bool = False


def system_paths() -> Iterator[Path]:
    """What every confined command may read of this machine; as the machine has it, so some are symbolic links."""
    for name in (*_PROGRAMS, *(f"etc/{name}" for name in _LOOKED_UP), *_KERNEL):
        path = Path("/", name)
        if path.exists():
            yield path


def toolchain(program: Path, private: tuple[Path, ...]) -> tuple[Path, ...]:
    """What belongs to a program outside the system: the folder around its `bin`, unless a private place lies in it.

    `~/bin/node` does not open `~`, nor `~/.local/bin/node` the state and the data that lie in `~/.local`: then it is the
    program, with what programs keep beside the `bin` that they are installed in.
    """
    folder = program.parent.parent if program.parent.name in ("bin", "sbin", "libexec") else program.parent
    if not contains(folder, private):
        return (folder,)
    beside = (folder / name for name in ("lib", "lib64", "libexec", "include"))
    return (program, *(path for path in beside if path.is_dir() and not contains(path, private)))


def contains(path: Path, private: tuple[Path, ...]) -> bool:
    """Whether one of the private places is this one or lies in it."""
    top = path.resolve()
    return any(place.resolve().is_relative_to(top) for place in private)


def exposed(private: tuple[Path, ...]) -> Path | None:
    """What every confined command may read in which one of these places lies; None if all are out of sight."""
    return next((path for path in system_paths() if contains(path, private)), None)
