"""A machine of its own with systemd as init: namespaces over a copy of this file system, of which only the changes are kept."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.command import eventually

CHECKOUT = Path(__file__).parents[2]
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The changes lie in a memory file system of the outer mount namespace, so that a machine can be switched off and on again.
_DISK = """
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/root"
shift
mount -t tmpfs tmpfs "$root/tmp"
for folder; do mkdir -p "$root$folder"; mount --rbind "$folder" "$root$folder"; done
rm -rf "$root"/etc/systemd/system/*.wants "$root"/etc/fstab
echo mounted
read -r line
"""
_BOOT = """
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount --rbind /dev "$root/dev"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
exec env -i container=other PATH="$PATH" chroot "$root" \
  /lib/systemd/systemd --system --unit=multi-user.target --log-target=null --show-status=false
"""


class Machine:
    """One that is switched on. `pid` is its init, seen from here."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def is_up(self) -> bool:
        return self.do("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")

    def do(self, *argv: str, folder: str = "/") -> "subprocess.CompletedProcess[str]":
        """The command has ended in there, as root."""
        enter = ("nsenter", f"--target={self.pid}", "--mount", "--pid", "--net", "--root", f"--wdns={folder}")
        clean = ("env", "-i", f"PATH={CHECKOUT}/.venv/bin:{_PATH}", "HOME=/root", "LANG=C.UTF-8")
        return subprocess.run((*enter, *clean, *argv), capture_output=True, text=True, timeout=120, check=False)

    def path(self, path: str) -> Path:
        """A file in there."""
        return Path(f"/proc/{self.pid}/root{path}")


@contextmanager
def disk(folder: Path) -> "Iterator[Disk]":
    """What a machine starts from, and keeps."""
    environment = {"PATH": os.environ["PATH"], "root": f"{folder}/root"}
    places = dict.fromkeys((str(CHECKOUT), sys.base_prefix, str(folder.parent)))
    argv = ("unshare", "--mount", "bash", "-euc", _DISK, "disk", str(folder), *places)
    keeper = subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert keeper.stdout is not None
    try:
        assert keeper.stdout.readline() == "mounted\n"
        yield Disk(keeper.pid, folder / "root")
    finally:
        keeper.kill()
        keeper.communicate()


class Disk:
    """A disk, in a mount namespace that a process holds."""

    def __init__(self, holder: int, root: Path) -> None:
        self._holder = holder
        self._root = root

    @contextmanager
    def switched_on(self) -> Iterator[Machine]:
        """The machine has started; it is switched off as when the power fails."""
        argv = (
            *("nsenter", f"--target={self._holder}", "--mount"),
            *("unshare", "--mount", "--pid", "--net", "--cgroup", "--uts", "--ipc", "--fork", "--kill-child=SIGKILL"),
            *("bash", "-euc", _BOOT),
        )
        environment = {"PATH": os.environ["PATH"], "root": str(self._root)}
        outer = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        pid = 0
        try:
            eventually(lambda: _child(outer.pid), what="a start of systemd")
            pid = _child(outer.pid) or 0
            machine = Machine(pid)
            eventually(machine.is_up, what="the end of the boot")
            yield machine
        finally:
            if pid:
                os.kill(pid, signal.SIGKILL)
            outer.kill()
            outer.wait()


def _child(pid: int) -> int | None:
    """The child of unshare once it is systemd."""
    for name in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if Path(f"/proc/{name}/comm").read_text().strip() == "systemd":
            return int(name)
    return None
