"""The disk is full: what runs goes on, the error says so, and once there is space everything works again."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.apps import shop
from support.command import Trivet, eventually, fetch
from support.repository import Repository

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system; CI runs as root")


WRITES = """
import os, sys, time
for number in range(80_000):
    os.write(1, b"line %08d %s\\n" % (number, b"x" * 85))
    if number % 25 == 0:
        time.sleep(0.001)
os.write(1, b"all is written\\n")
time.sleep(600)
"""


@pytest.fixture
def small(trivet: Trivet) -> Iterator[Path]:
    """A file that can fill the rest of the small file system that holds the home."""
    yield from _small(trivet, "4m")


@pytest.fixture
def medium(trivet: Trivet) -> Iterator[Path]:
    """The same, of one with room for more."""
    yield from _small(trivet, "16m")


def _small(trivet: Trivet, size: str) -> Iterator[Path]:
    trivet.home.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", trivet.home), check=True)
    yield trivet.home / "filler"
    trivet.run("down")
    subprocess.run(("umount", "-l", trivet.home), check=True)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


def test_a_full_disk_disturbs_nothing_that_runs(trivet: Trivet, repository: Repository, small: Path) -> None:
    repository.commit(shop("v1"))
    trivet.ok("deploy")
    before = trivet.pids()
    url = trivet.url
    repository.commit(shop("v2"))
    _fill(small)
    for arguments in (("deploy",), ("config", "set", "A=1"), ("build", "--rebuild")):
        done = trivet.run(*arguments)
        assert done.status == 50, done.err
        assert "the disk is full" in done.err.lower()
        assert "Free some space" in done.err
        assert "Traceback" not in done.err
    for arguments in (("builds",), ("releases",), ("apps",), ("logs",)):
        assert trivet.ok(*arguments).out != "", arguments
    assert trivet.pids() == before
    assert fetch(url) == (200, "v1 - v1\n")
    small.unlink()
    trivet.ok("deploy")
    assert fetch(url) == (200, "v2 - v2\n")
    trivet.ok("releases", "verify")


def _free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def test_a_process_that_writes_without_end_fills_no_disk(trivet: Trivet, repository: Repository, medium: Path) -> None:
    files = {"Procfile": "worker: python3 worker.py\n", "worker.py": WRITES, "trivet.toml": 'app = "shop"\n'}
    repository.commit(files)
    trivet.ok("deploy")
    with medium.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, _free_bytes(trivet.home) - 3_000_000)
    trivet.ok("scale", "worker=1")  # 8 MB, into 3
    eventually(lambda: trivet.ok("logs", "-n", "1").out.endswith("all is written\n"), deadline_s=60)
    (worker,) = trivet.processes(process="worker.1")
    assert (worker["state"], worker["restarts"]) == ("running", 0)
    numbers = [int(line.split()[-2]) for line in trivet.ok("logs", "-n", "1000000").out.splitlines()[:-1]]
    assert numbers == list(range(80_000 - len(numbers), 80_000))
    assert len(numbers) > 100
    log = (trivet.home / "run" / "supervisor.log").read_text()
    assert "trivet: the disk is nearly full: logs are shortened until it is not\n" in log


def test_the_reserve_lets_a_person_act_on_a_full_disk(trivet: Trivet, repository: Repository, small: Path) -> None:
    reserve = trivet.home / "run" / "reserve"
    repository.commit(shop("v1"))
    trivet.ok("deploy")
    assert reserve.stat().st_blocks * 512 >= 200 * 1024
    trivet.ok("config", "set", "GREETING=hello")
    _fill(small)
    for arguments in (("scale", "worker=1"), ("restart",), ("stop",), ("start",), ("scale", "worker=0")):
        trivet.ok(*arguments)
    assert not reserve.exists()
    assert fetch(trivet.url) == (200, "v1 hello v2\n")
    small.unlink()
    eventually(reserve.exists)
    _fill(small)
    trivet.ok("rollback", "v1", "-y")
    assert fetch(trivet.url) == (200, "v1 - v3\n")
    trivet.ok("releases", "verify")
