"""The front of a file is given back to the disk while somebody appends to it, on every file system that people use."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from trivet.host import holes

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system; CI runs as root")

MAKERS = {"ext4": ("mkfs.ext4", "-q"), "xfs": ("mkfs.xfs", "-q"), "btrfs": ("mkfs.btrfs", "-q")}
IMAGE_BYTES = 320 * 1024 * 1024  # sparse; XFS makes none that is smaller
LINE = b"x" * 99 + b"\n"


def _mount(*arguments: object) -> None:
    done = subprocess.run(("mount", *map(str, arguments)), capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine cannot mount it: {done.stderr.strip()}")


def _mount_image(kind: str, folder: Path, image: Path) -> None:
    if shutil.which(MAKERS[kind][0]) is None:
        pytest.skip(f"no {MAKERS[kind][0]}: scripts/toolchains installs it")
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run((*MAKERS[kind], image), check=True, capture_output=True)
    _mount("-o", "loop", image, folder)


@pytest.fixture(params=["ext4", "xfs", "btrfs", "tmpfs", "overlay"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of this kind."""
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    if request.param in MAKERS:
        _mount_image(request.param, mounted, tmp_path / "image")
    elif request.param == "tmpfs":
        _mount("-t", "tmpfs", "tmpfs", mounted)
    else:
        for name in ("lower", "upper", "work"):
            (tmp_path / name).mkdir()
        options = ",".join(f"{name}dir={tmp_path / name}" for name in ("lower", "upper", "work"))
        _mount("-t", "overlay", "-o", options, "overlay", mounted)
    try:
        yield mounted
    finally:
        subprocess.run(("umount", mounted), check=True)


def _takes(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    return path.stat().st_blocks * 512


def test_what_is_given_back_takes_no_room_and_the_rest_stays(folder: Path) -> None:
    assert holes.can_punch(folder)
    path = folder / "log"
    writer = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(writer, LINE * 10_000)
        before = _takes(path)
        for end in (100, 500_000, 900_000):  # within a block, and many
            with path.open("rb+") as file:
                assert holes.punch(file.fileno(), end)
                assert holes.first_byte(file.fileno()) == end
            os.write(writer, LINE)
    finally:
        os.close(writer)
    assert path.stat().st_size == 1_000_300
    assert path.read_bytes() == bytes(900_000) + LINE * 1003
    assert _takes(path) < before // 4


def test_a_file_all_of_which_is_given_back_begins_at_its_end(folder: Path) -> None:
    path = folder / "log"
    path.write_bytes(LINE * 1000)
    with path.open("rb+") as file:
        assert holes.punch(file.fileno(), 100_000)
        assert holes.first_byte(file.fileno()) == 100_000
    path.write_bytes(b"")
    with path.open("rb+") as file:
        assert holes.first_byte(file.fileno()) == 0


def test_a_file_system_that_cannot_says_so_and_changes_nothing(tmp_path: Path) -> None:
    _mount("-t", "ramfs", "ramfs", tmp_path)
    try:
        path = tmp_path / "log"
        path.write_bytes(LINE)
        assert not holes.can_punch(tmp_path)
        with path.open("rb+") as file:
            assert not holes.punch(file.fileno(), 50)
            assert holes.first_byte(file.fileno()) == 0
        assert path.read_bytes() == LINE
    finally:
        subprocess.run(("umount", tmp_path), check=True)
