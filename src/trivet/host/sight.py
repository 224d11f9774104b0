"""Sight: what of the machine an app may read beside its own: the system, and nothing of people, of other apps or of Trivet.

Of the system it is all that its user may read: apps look up more of it than builds do, and what is secret there is closed
to others by its mode. Where the app has the power to read what is closed, it is what builds see: view.py.
"""

import os
from pathlib import Path

from trivet.host.view import system_paths

_SYSTEM = (
    *("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "opt", "nix/store", "gnu/store", "snap"),
    *("proc", "sys", "run/current-system", "run/opengl-driver"),
    *("var/lib/ca-certificates", "var/lib/dbus/machine-id", "var/lib/ghostscript", "var/cache/fontconfig"),
)
_NAMES = ("run/systemd/resolve", "run/resolvconf", "run/NetworkManager", "run/connman")
_LINKED = ("/etc/resolv.conf", "/etc/localtime")  # often links out of what is in sight
LISTED = (Path("/dev"),)  # with all below it: never the root, whose every folder could be listed then


def paths_in_sight(*, closed_too: bool) -> tuple[Path, ...]:
    """What every app may read, there or not; `closed_too`: by one who can read what is closed to others."""
    system = (*system_paths(), Path("/proc")) if closed_too else tuple(Path("/", name) for name in _SYSTEM)
    names = tuple(Path("/", name) for name in _NAMES)
    return (*system, *names, *(Path(os.path.realpath(path)) for path in _LINKED))
