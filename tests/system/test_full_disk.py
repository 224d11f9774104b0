"""The disk is full: what runs goes on, the error says so, and once there is space everything works again."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.apps import shop
from support.command import Trivet, fetch
from support.repository import Repository

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system; CI runs as root")


@pytest.fixture
def small(trivet: Trivet) -> Iterator[Path]:
    """A file that can fill the rest of the small file system that holds the home."""
    trivet.home.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", trivet.home), check=True)
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
