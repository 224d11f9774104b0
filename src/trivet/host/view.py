"""View: what of the machine a confined command sees: the system, some more to read, a few folders to write.

The system is what every program of the machine needs, and holds no secret of a person or of another app: programs and
libraries, and of /etc the files that tools look things up in.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROGRAMS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix/store", "gnu/store")
_LOOKED_UP = (
    *("alternatives", "bash.bashrc", "ca-certificates", "ca-certificates.conf", "crypto-policies", "debian_version"),
    *("fonts", "gai.conf", "gitconfig", "group", "host.conf", "hostname", "hosts", "inputrc", "java-17-openjdk"),
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.alias", "locale.conf", "localtime", "magic", "magic.mime"),
    *("mime.types", "networks", "npmrc", "nsswitch.conf", "os-release", "passwd", "perl", "php", "pip.conf", "pki"),
    *("profile", "protocols", "python3", "resolv.conf", "rpc", "services", "shells", "ssl/certs", "ssl/openssl.cnf"),
    *("terminfo", "timezone", "uv", "wgetrc", "xml"),
)
_KERNEL = ("sys/devices/system/cpu", "sys/devices/system/node", "sys/fs/cgroup", "sys/kernel/mm/transparent_hugepage")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


@dataclass(frozen=True, slots=True)
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


def toolchain(program: Path, home: Path) -> Path:
    """What belongs to a program outside the system: the folder around its `bin`, or the program alone.

    Alone, where that folder would be the person's home or one above it: `~/bin/node` does not open `~`.
    """
    folder = program.parent.parent if program.parent.name in ("bin", "sbin", "libexec") else program.parent
    return program if home.is_relative_to(folder) else folder
