"""A supervisor in a mount namespace of its own, where control groups are as a test needs them."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import eventually
from trivet.model.home import Home
from trivet.run import Machine, code
from trivet.run.supervisor import launch

_NOTHING = "mount -t tmpfs none /sys/fs/cgroup"
_LEGACY = (
    "for each in memory cpu pids; do mkdir /sys/fs/cgroup/$each"
    " && mount -t cgroup -o $each none /sys/fs/cgroup/$each || rmdir /sys/fs/cgroup/$each; done"
)
_UNIFIED = (
    "mkdir /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified || rmdir /sys/fs/cgroup/unified"
)

NONE = _NOTHING
LEGACY = f"{_NOTHING}; {_LEGACY}"
BOTH = f"{_NOTHING}; {_LEGACY}; {_UNIFIED}"


@contextlib.contextmanager
def supervised(home: Home, ground: str) -> Iterator[Machine]:
    """The home's supervisor runs, in the foreground of a shell that has made the ground; it is ended after the block."""
    with contextlib.suppress(FileExistsError):
        home.supervisor.mkdir(parents=True, mode=0o700)
    options = (launch.ALLOW_MUTABLE,) if os.environ.get("TRIVET_ALLOW_MUTABLE") == "1" else ()
    argv = (
        "unshare",
        "--mount",
        "sh",
        "-c",
        f'{ground}; exec "$@"',
        "sh",
        *launch.argv(home, f"{launch.VERSION}{code.installed()}", *options),
    )
    machine = Machine(home)
    with (home.supervisor / "ground.log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
        try:
            eventually(lambda: process.poll() is not None or machine.is_up(), what="a supervisor")
            if process.poll() is not None:
                told = (home.supervisor / "ground.log").read_text()
                assert told.startswith("unshare:"), told
                pytest.skip(f"nobody may have a mount namespace here: {told}")
            yield machine
        finally:
            with contextlib.suppress(Exception):
                machine.down()
            process.wait(30)


def running(word: str) -> dict[int, str]:
    """Every process, also one that has ended and is not reaped, with this word in its command or its name; their states."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if word.encode() in (folder / "cmdline").read_bytes():
                found[int(folder.name)] = (folder / "stat").read_text().rpartition(") ")[2][0]
    return found
