"""Durable files: there whole or not at all, and nothing of those that somebody was killed over."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.points import Action, Points, Role, can_compile, compile_library
from trivet.errors import MachineError
from trivet.host.files import create_once, replace, sweep

CREATE = (
    "import sys, pathlib; from trivet.host.files import create_once; create_once(pathlib.Path(sys.argv[1]), b'whole')"
)


def test_a_file_is_created_once_with_its_content_and_its_mode(tmp_path: Path) -> None:
    create_once(tmp_path / "a", b"whole" * 100_000, mode=0o400)
    assert (tmp_path / "a").read_bytes() == b"whole" * 100_000
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o400
    with pytest.raises(FileExistsError):
        create_once(tmp_path / "a", b"other")
    with pytest.raises(MachineError, match="No such file or directory"):
        create_once(tmp_path / "nowhere" / "a", b"other")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.skipif(not can_compile(), reason="needs cc: scripts/toolchains")
def test_whoever_is_killed_over_a_new_file_leaves_it_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    points = Points(compile_library(tmp_path), folder, tmp_path)
    found = set()
    for target in range(1, 20):
        points.arm(Role.COMMAND, Action.KILL, target)
        done = subprocess.run((sys.executable, "-c", CREATE, folder / "a"), env={**os.environ, **points.environment})
        left = {path.name: path.read_bytes() for path in folder.iterdir()}
        assert left in ({}, {"a": b"whole"}), (target, points.passed())
        found.add(len(left))
        for path in folder.iterdir():
            path.unlink()
        if not points.is_reached:
            break
    assert (done.returncode, found) == (0, {0, 1})
    points.close()


def test_what_is_half_written_goes_once_its_writer_is_gone(tmp_path: Path) -> None:
    replace(tmp_path / "intent.json", b"whole")
    with subprocess.Popen(("sleep", "600")) as living:
        names = (
            ".intent.json.999999999.0a1b2c3d",
            f".intent.json.{living.pid}.0a1b2c3d",
            f".current.{os.getpid()}",
            ".hidden",
        )
        for name in names:
            (tmp_path / name).touch()
        sweep(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {"intent.json", names[1], ".hidden"}
        living.kill()
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"intent.json", ".hidden"}
    sweep(tmp_path / "nowhere")
