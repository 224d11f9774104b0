"""What the harness takes for a disk after a power cut: what was synced is there, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.command import eventually
from support.lost_writes import lose, read_journal
from support.points import Action, Points, Role, can_compile, compile_library

pytestmark = pytest.mark.skipif(not can_compile(), reason="needs cc: scripts/toolchains")

BEFORE = {
    "replaced": "old",
    "replaced-and-kept": "old",
    "removed": "old",
    "longer": "old",
    "removed-and-gone/file": "old",
}
PROGRAM = """
import os, sys
def write(name, text, sync=True, how="w"):
    with open(name, how) as file:
        file.write(text)
        file.flush()
        if sync:
            os.fsync(file.fileno())
def sync(folder):
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
write(".new", "new"); os.rename(".new", "replaced-and-kept")
os.unlink("removed-and-gone/file"); sync("removed-and-gone")
write("made", "new"); write("empty", "new", sync=False)
sync(".")
write(".new", "new"); os.rename(".new", "replaced")
os.unlink("removed")
write("longer", "er", sync=False, how="a")
os.mkdir("folder"); write("folder/file", "new"); sync("folder")
os.link("made", "made-too")
os.rename("made", "last")  # the power is cut before this
"""


def test_of_a_disk_after_a_power_cut_only_what_was_synced_is_left(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for name, text in BEFORE.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    points = Points(compile_library(tmp_path), home, tmp_path)
    points.arm(Role.COMMAND, Action.CUT, _count(points, home, tmp_path))
    with _start(points, home) as process:
        eventually(lambda: points.is_dead, what="the power cut")
        process.kill()
    assert lose(read_journal(points.journal), home, points.kept) == 7
    found = {str(path.relative_to(home)): path.read_text() for path in home.rglob("*") if path.is_file()}
    assert found == {
        "replaced": "old",
        "replaced-and-kept": "new",
        "removed": "old",
        "longer": "old",
        "made": "new",
        "empty": "",
    }
    points.close()


def _start(points: Points, home: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen((sys.executable, "-c", PROGRAM), cwd=home, env={**os.environ, **points.environment})


def _count(points: Points, home: Path, folder: Path) -> int:
    """The number of the last call, found out on a copy."""
    before = folder / "before"
    home.rename(before)
    subprocess.run(("cp", "-a", before, home), check=True)
    points.arm(Role.COMMAND)
    with _start(points, home) as process:
        assert process.wait(30) == 0
    subprocess.run(("rm", "-r", home), check=True)
    before.rename(home)
    return points.count(Role.COMMAND)
