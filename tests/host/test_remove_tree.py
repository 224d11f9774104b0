"""Removing a tree takes away exactly that tree, whatever lies in it and whoever changes it meanwhile."""

import contextlib
import fcntl
import os
import resource
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from trivet.host.files import remove_tree

DEPTH = 1500
SWAP = """
import ctypes, os, sys
here, there = (word.encode() for word in sys.argv[1:])
libc, folder = ctypes.CDLL(None), os.open(here, os.O_RDONLY)
whole = os.fstat(folder).st_mtime_ns
print("waiting", flush=True)
while os.fstat(folder).st_mtime_ns == whole:
    pass
if libc.renameat2(-100, here, -100, there, 2) == 0:
    print("swapped", flush=True)
"""


def _dig(folder: Path, depth: int) -> None:
    """A folder in a folder in a folder, deeper than any path is long."""
    folder.mkdir()
    at = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)


def _open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_tree_is_removed_with_all_that_a_tree_can_hold(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "b" / "file").write_text("x")
    (tree / os.fsdecode(b"not \xff text")).mkdir()
    os.mkfifo(tree / "a" / "fifo")
    (tree / "a" / "dangling").symlink_to("nowhere")
    (tree / "a" / "b").chmod(0o500)
    (tree / "a").chmod(0)
    remove_tree(tree)
    assert list(tmp_path.iterdir()) == []


def test_what_a_link_in_the_tree_points_to_stays(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(kept)
    remove_tree(tree)
    assert sorted(tmp_path.rglob("*")) == [kept, kept / "file"]


def test_a_link_or_a_file_in_place_of_the_tree_is_removed_itself(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (tmp_path / "link").symlink_to(kept)
    (tmp_path / "file").touch()
    remove_tree(tmp_path / "link")
    remove_tree(tmp_path / "file")
    remove_tree(tmp_path / "never was")
    remove_tree(tmp_path / "never was" / "either")
    assert sorted(tmp_path.rglob("*")) == [kept, kept / "file"]


def test_a_tree_may_be_deeper_than_paths_are_long_and_descriptors_are_many(tmp_path: Path) -> None:
    _dig(tmp_path / "tree", DEPTH)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_open_descriptors() + 16, limits[1]))
    try:
        remove_tree(tmp_path / "tree")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert list(tmp_path.iterdir()) == []


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    (tmp_path / "tree" / "a" / "b").mkdir(parents=True)
    before = _open_descriptors()
    remove_tree(tmp_path / "tree")
    remove_tree(tmp_path / "tree")
    assert _open_descriptors() == before


def test_a_folder_exchanged_for_a_link_meanwhile_costs_nobody_else_a_file(tmp_path: Path) -> None:
    """A surviving process of an app waits until its folder is being emptied and puts a link in its place."""
    victim, link, folder = tmp_path / "victim", tmp_path / "link", tmp_path / "tree" / "d"
    victim.mkdir()
    folder.mkdir(parents=True)
    names = {f"x{number:05d}" for number in range(2000)}
    for name in names:
        (victim / name).touch()
        (folder / name).touch()
    link.symlink_to(victim)
    with subprocess.Popen((sys.executable, "-S", "-c", SWAP, folder, link), stdout=subprocess.PIPE) as swapper:
        assert swapper.stdout is not None
        assert swapper.stdout.readline() == b"waiting\n"
        with contextlib.suppress(OSError):  # the tree has changed under its hands: it may stop, or not even notice
            remove_tree(tmp_path / "tree")
        assert swapper.stdout.readline() == b"swapped\n"
    assert {path.name for path in victim.iterdir()} == names


def _set_immutable(path: Path, *, on: bool) -> None:
    """As `chattr +i` does it: FS_IOC_SETFLAGS, linux/fs.h."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, 0x40086602, struct.pack("l", 0x10 if on else 0))
    except OSError as error:
        pytest.skip(f"nobody can make a file immutable here: {error.strerror}")
    finally:
        os.close(descriptor)


def test_what_cannot_be_removed_is_told_and_all_the_rest_is_gone(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    for path in (tree / "a" / "fixed", tree / "a" / "b" / "file", tree / "a" / "file", tree / "file"):
        path.touch()
    _set_immutable(tree / "a" / "fixed", on=True)
    try:
        with pytest.raises(PermissionError):
            remove_tree(tree)
        assert sorted(tree.rglob("*")) == [tree / "a", tree / "a" / "fixed"]
    finally:
        _set_immutable(tree / "a" / "fixed", on=False)
    remove_tree(tree)
    assert not tree.exists()
