"""Sight: what of the machine an app may read beside its own: the system, and nothing of people, of other apps or of Trivet.

Of the system it is all that its user may read: apps look up more of it than builds do, and what is secret there is closed
to others by its mode. Where the app has the power to read what is closed, it is what builds see: view.py.
"""

from collections.abc import Iterator
from pathlib import Path

from trivet.host.user import home_of
from trivet.host.view import contains, exposed, system_paths

_SYSTEM = (
    *("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "opt", "nix/store", "gnu/store", "snap"),
    *("proc", "sys", "run/current-system", "run/opengl-driver"),
    *("var/lib/ca-certificates", "var/lib/dbus/machine-id", "var/lib/ghostscript", "var/cache/fontconfig"),
)
_NAMES = ("run/systemd/resolve", "run/resolvconf", "run/NetworkManager", "run/connman")
_LINKED = ("/etc/resolv.conf", "/etc/localtime")  # often links out of what is in sight
LISTED = (Path("/dev"),)  # with all below it: never the root, whose every folder could be listed then


def paths_in_sight(private: tuple[Path, ...], *, closed_too: bool) -> tuple[Path, ...]:
    """What every app may read, without what is private; `closed_too`: by one who can read what is closed to others."""
    system = (*system_paths(), Path("/proc")) if closed_too else tuple(Path("/", name) for name in _SYSTEM)
    all_of_it = (*system, *(Path("/", name) for name in _NAMES), *map(Path, _LINKED))
    paths = dict.fromkeys(path.resolve() for path in all_of_it)
    tops = (path for path in paths if not any(above in paths for above in path.parents))
    return tuple(path for top in tops for path in _around(top, private))


def private_home(user: int) -> tuple[Path, ...]:
    """Where the user is at home, unless that is a folder of the system, as `/usr/sbin` is for some."""
    home = home_of(user)
    return () if home is None or exposed((home,)) else (home,)


def _around(path: Path, private: tuple[Path, ...]) -> Iterator[Path]:
    """The path, or if something private lies in it, all in it that leads to nothing private."""
    if not contains(path, private):
        yield path
    elif path.is_dir() and path not in private:
        for each in sorted(path.iterdir()):
            yield from _around(each, private)
