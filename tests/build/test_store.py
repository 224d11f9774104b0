"""The store: one tree one digest, one content one object, nothing of it writable, and every change is found."""

import contextlib
import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from trivet.build.store import Store
from trivet.errors import StoreError
from trivet.host.files import remove_tree
from trivet.host.tree import read_tree
from trivet.model.home import Home

CHANGED_AT = 1_700_000_000


def _fill(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def _folder(home: Home, name: str, files: dict[str, str]) -> Path:
    return _fill(home.scratch / name, files)


def _objects(home: Home) -> list[Path]:
    return [path for path in home.objects.rglob("*") if path.is_file()]


def test_a_layer_is_where_its_digest_says_read_only_and_with_the_commits_time(home: Home) -> None:
    folder = _folder(home, "x", {"a": "1", "sub/b": "2", "empty": ""})
    (folder / "sub/b").chmod(0o4775)
    layer = Store(home).keep(folder, "app", CHANGED_AT)
    path = home.layers / layer.digest
    assert (layer.name, layer.files, layer.size_bytes) == ("app", 3, 2)
    assert not folder.exists()
    modes = {name: (path / name).stat().st_mode & 0o7777 for name in (".", "a", "sub", "sub/b", "empty")}
    assert modes == {".": 0o555, "a": 0o444, "sub": 0o555, "sub/b": 0o555, "empty": 0o444}
    assert {int((path / name).stat().st_mtime) for name in ("a", "sub", "sub/b")} == {CHANGED_AT}
    Store(home).verify(layer)


def test_the_digest_does_not_depend_on_times_owners_or_order(tmp_path: Path) -> None:
    one = _fill(tmp_path / "one", {"a": "1", "b": "2", "sub/c": "3"})
    two = _fill(tmp_path / "two", {"sub/c": "3", "b": "2", "a": "1"})
    os.utime(one / "a", (1, 1))
    (two / "b").chmod(0o600)
    assert read_tree(one).digest == read_tree(two).digest


@pytest.mark.parametrize("change", ["content", "name", "mode", "link", "empty folder", "kind"])
def test_the_digest_depends_on_everything_else(tmp_path: Path, change: str) -> None:
    one = _fill(tmp_path / "one", {"a": "1", "b": "2"})
    (one / "l").symlink_to("a")
    two = _fill(tmp_path / "two", {"a": "1", "b": "2"})
    (two / "l").symlink_to("b" if change == "link" else "a")
    if change == "content":
        (two / "a").write_text("x")
    elif change == "name":
        (two / "a").rename(two / "c")
    elif change == "mode":
        (two / "a").chmod(0o755)
    elif change == "empty folder":
        (two / "e").mkdir()
    elif change == "kind":
        (two / "b").unlink()
        _fill(two, {"b/c": "2"})
    assert read_tree(one).digest != read_tree(two).digest


def test_the_digest_is_the_one_that_is_documented(tmp_path: Path) -> None:
    """A guard against changing the format without noticing: every stored layer is named by it."""
    folder = _fill(tmp_path / "x", {"a": "1", "sub/b": "2"})
    (folder / "l").symlink_to("a")
    (folder / "a").chmod(0o755)
    assert read_tree(folder).digest == "89ca9d1f38b20b524ac51762bfa686676f112a100f9db26c11ff862d5ab6a47e"


def test_the_same_content_is_stored_once(home: Home) -> None:
    store = Store(home)
    one = store.keep(_folder(home, "x", {"a": "same", "b": "same", "c": "other"}), "app", CHANGED_AT)
    two = store.keep(_folder(home, "y", {"a": "same", "c": "changed"}), "app", CHANGED_AT + 60)
    assert len(_objects(home)) == 3
    inodes = {(home.layers / layer.digest / "a").stat().st_ino for layer in (one, two)}
    clones = len(inodes) == 2
    assert clones or inodes == {(home.layers / one.digest / "b").stat().st_ino}
    assert int((home.layers / two.digest / "a").stat().st_mtime) in (CHANGED_AT, CHANGED_AT + 60)


def test_a_program_and_a_file_of_the_same_content_are_two_objects(home: Home) -> None:
    folder = _folder(home, "x", {"a": "same", "b": "same"})
    (folder / "b").chmod(0o755)
    layer = Store(home).keep(folder, "app", CHANGED_AT)
    assert sorted(path.suffix for path in _objects(home)) == ["", ".x"]
    assert (home.layers / layer.digest / "a").stat().st_mode & 0o111 == 0


def test_empty_files_are_never_linked(home: Home) -> None:
    layer = Store(home).keep(_folder(home, "x", {"a": "", "b": "", "c": "1"}), "app", CHANGED_AT)
    assert {(home.layers / layer.digest / name).stat().st_nlink for name in ("a", "b")} == {1}
    assert len(_objects(home)) == 1


def test_no_inode_is_shared_with_anything_outside(home: Home, tmp_path: Path) -> None:
    cache = _fill(tmp_path / "cache", {"wheel.py": "x = 1"})
    folder = _folder(home, "x", {"a": "1"})
    os.link(cache / "wheel.py", folder / "wheel.py")
    layer = Store(home).keep(folder, "dependencies", CHANGED_AT)
    (cache / "wheel.py").write_text("x = 2")
    assert (home.layers / layer.digest / "wheel.py").read_text() == "x = 1"
    assert (cache / "wheel.py").stat().st_mode & 0o222
    Store(home).verify(layer)


def test_a_tree_that_is_there_already_stays_as_it_is(home: Home) -> None:
    store = Store(home)
    one = store.keep(_folder(home, "x", {"a": "1"}), "app", CHANGED_AT)
    inode = (home.layers / one.digest).stat().st_ino
    assert store.keep(_folder(home, "y", {"a": "1"}), "app", CHANGED_AT) == one
    assert (home.layers / one.digest).stat().st_ino == inode
    assert list(home.scratch.iterdir()) == []


def test_unreadable_and_read_only_leftovers_of_steps_are_no_obstacle(home: Home) -> None:
    folder = _folder(home, "x", {"sub/a": "1", "sub/deep/b": "2"})
    (folder / "sub/a").chmod(0)
    (folder / "sub/deep").chmod(0o500)
    (folder / "sub").chmod(0o111)
    layer = Store(home).keep(folder, "app", CHANGED_AT)
    assert (home.layers / layer.digest / "sub/deep/b").read_text() == "2"


def test_a_socket_or_a_pipe_is_refused(home: Home) -> None:
    folder = _folder(home, "x", {"a": "1"})
    os.mkfifo(folder / "pipe")
    with pytest.raises(StoreError) as caught:
        Store(home).keep(folder, "app", CHANGED_AT)
    assert caught.value.message == "The build left a socket, pipe or device behind: 'pipe'."
    assert caught.value.hint == (
        "Have the command of the build remove it: a build consists of files, folders and links."
    )


def test_an_altered_layer_is_found(home: Home) -> None:
    layer = Store(home).keep(_folder(home, "x", {"a": "1"}), "app", CHANGED_AT)
    path = home.layers / layer.digest
    (path / "a").chmod(0o644)
    (path / "a").write_text("2")
    with pytest.raises(StoreError) as caught:
        Store(home).verify(layer)
    assert caught.value.message == f"The layer 'app' ({layer.digest[:12]}) was altered after it was built."
    assert caught.value.hint == (
        f"Move {path} away and make it again with `trivet build --rebuild` at the build's commit."
    )


def test_a_missing_layer_is_found(home: Home) -> None:
    layer = Store(home).keep(_folder(home, "x", {"a": "1"}), "app", CHANGED_AT)
    remove_tree(home.layers / layer.digest)
    with pytest.raises(StoreError) as caught:
        Store(home).verify(layer)
    assert caught.value.message == f"The layer 'app' ({layer.digest[:12]}) is missing from the store."


def test_a_bad_object_does_not_spread_and_is_mended(home: Home) -> None:
    store = Store(home)
    store.keep(_folder(home, "x", {"a": "good", "b": "1"}), "app", CHANGED_AT)
    (bad,) = (path for path in _objects(home) if path.read_text() == "good")
    bad.chmod(0o644)
    bad.write_text("evil")
    layer = store.keep(_folder(home, "y", {"a": "good", "b": "2"}), "app", CHANGED_AT)
    store.verify(layer)
    assert bad.read_text() == "good"


@pytest.mark.slow
def test_more_copies_than_a_file_system_can_link_are_stored_and_checked_out(home: Home) -> None:
    """ext4 stops at 65,000 links; tmpfs and XFS do not, but the content is right everywhere."""
    store = Store(home)
    first = store.path(store.keep(_folder(home, "x", {"a": "same"}), "app", CHANGED_AT).digest) / "a"
    is_full = _link_until_refused(first, home.root / "links")
    layer = store.keep(_folder(home, "y", {"a": "same", "b": "same"}), "app", CHANGED_AT)
    copies = [store.path(layer.digest) / name for name in ("a", "b")]
    assert [copy.read_text() for copy in copies] == ["same", "same"]
    if is_full:
        assert len({copy.stat().st_ino for copy in copies}) == 1  # there is a new object, to be shared from now on
        assert copies[0].stat().st_ino != first.stat().st_ino
    remove_tree(store.path(layer.digest))
    assert store.obtain(layer.digest)
    store.verify(layer)


def _link_until_refused(file: Path, folder: Path) -> bool:
    folder.mkdir()
    for number in range(70_000):
        try:
            os.link(file, folder / str(number))
        except OSError as error:
            return error.errno == errno.EMLINK
    return False


def test_a_layer_whose_checkout_is_gone_is_checked_out_again(home: Home) -> None:
    store = Store(home)
    folder = _folder(home, "x", {"a": "1", "sub/b": "2", "sub/deep/c": "1", "empty": "", "bin/run": "#!/bin/sh\n"})
    (folder / "bin/run").chmod(0o755)
    (folder / "sub/l").symlink_to("../a")
    (folder / "none").mkdir()
    layer = store.keep(folder, "app", CHANGED_AT)
    path = store.path(layer.digest)
    before = {str(each): each.lstat().st_mode for each in (path, *path.rglob("*"))}
    remove_tree(path)
    assert store.obtain(layer.digest)
    store.verify(layer)
    assert {str(each): each.lstat().st_mode for each in (path, *path.rglob("*"))} == before
    assert (path / "empty").stat().st_nlink == 1
    assert list(home.scratch.glob("*.*")) == []


def test_names_that_are_no_text_and_files_that_only_set_uids_are_kept_as_plain_files(home: Home) -> None:
    folder = _folder(home, "x", {"new\nline": "1", " ": "2"})
    name = os.fsencode(folder) + b"/\xff\xfe"
    Path(os.fsdecode(name)).write_text("3")
    Path(os.fsdecode(name)).chmod(0o6755)
    (folder / "l").symlink_to(os.fsdecode(b"\xff\xfe"))
    store = Store(home)
    layer = store.keep(folder, "app", CHANGED_AT)
    for _ in range(2):
        store.verify(layer)
        names = {os.fsencode(path.name) for path in store.path(layer.digest).iterdir()}
        assert names == {b"new\nline", b" ", b"\xff\xfe", b"l"}
        assert (store.path(layer.digest) / "l").stat().st_mode & 0o7777 == 0o555
        remove_tree(store.path(layer.digest))
        assert store.obtain(layer.digest)


def test_the_digest_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    digests = set()
    for umask in (0o022, 0o077, 0o002):
        before = os.umask(umask)
        try:
            digests.add(read_tree(_fill(tmp_path / oct(umask), {"a": "1", "sub/b": "2"})).digest)
        finally:
            os.umask(before)
    assert len(digests) == 1


def test_a_layer_with_a_bad_object_is_not_checked_out_but_stored_anew(home: Home) -> None:
    store = Store(home)
    layer = store.keep(_folder(home, "x", {"a": "good", "b": "1"}), "app", CHANGED_AT)
    remove_tree(store.path(layer.digest))
    (bad,) = (path for path in _objects(home) if path.read_text() == "good")
    bad.chmod(0o644)
    bad.write_text("evil")
    assert not store.obtain(layer.digest)
    assert not store.has(layer.digest)
    assert not bad.exists()
    assert list(home.scratch.glob("*.*")) == []
    assert store.keep(_folder(home, "y", {"a": "good", "b": "1"}), "app", CHANGED_AT) == layer
    store.verify(layer)


def test_an_inode_of_the_store_that_was_written_through_does_not_spread(home: Home) -> None:
    """The trap of every store of hard links: whoever writes to one checkout writes to all, and to the object."""
    store = Store(home)
    one = store.keep(_folder(home, "x", {"a": "good"}), "app", CHANGED_AT)
    path = store.path(one.digest) / "a"
    path.chmod(0o644)
    path.write_text("evil")
    path.chmod(0o444)
    with pytest.raises(StoreError):
        store.verify(one)
    two = store.keep(_folder(home, "y", {"a": "good", "b": "2"}), "app", CHANGED_AT)
    store.verify(two)
    remove_tree(store.path(one.digest))
    assert store.obtain(one.digest)
    store.verify(one)


def test_a_file_with_two_names_in_one_build_becomes_two_files_without_a_link_to_scratch(home: Home) -> None:
    folder = _folder(home, "x", {"a": "1"})
    os.link(folder / "a", folder / "b")
    os.link(folder / "a", home.scratch / "outside")
    layer = Store(home).keep(folder, "app", CHANGED_AT)
    (home.scratch / "outside").write_text("2")
    Store(home).verify(layer)


def test_what_was_never_stored_cannot_be_obtained(home: Home) -> None:
    assert not Store(home).obtain("0" * 64)


def test_folders_without_end_are_refused(home: Home) -> None:
    folder = _folder(home, "x", {})
    (folder / "/".join("d" for _ in range(300))).mkdir(parents=True)
    with pytest.raises(StoreError) as caught:
        Store(home).keep(folder, "app", CHANGED_AT)
    assert caught.value.message == "The build left folders in folders, more than 200 deep."


_RACE = """
import sys
from pathlib import Path
from trivet.build.store import Store
from trivet.model.home import Home
home, folder, changed_at = Home(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
sys.stdin.read()
print(Store(home).keep(folder, "app", changed_at).digest)
"""


def _words_of(racer: "subprocess.Popen[str]") -> IO[str]:
    assert racer.stdout is not None
    return racer.stdout


def test_builds_may_race_for_the_same_layer(home: Home) -> None:
    files = {f"f{number}": str(number % 7) for number in range(200)}
    racers = [
        subprocess.Popen(
            (sys.executable, "-c", _RACE, home.root, _folder(home, f"x{number}", files), str(CHANGED_AT)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    with contextlib.ExitStack() as ended:
        for racer in racers:
            ended.enter_context(racer)
            assert _words_of(racer).readline() == "ready\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.close()  # now, all of them
        digests = [_words_of(racer).read().strip() for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0, 0, 0]
    assert len(set(digests)) == 1
    assert read_tree(home.layers / digests[0]).digest == digests[0]
    assert list(home.scratch.iterdir()) == []
    assert not [path for path in home.root.rglob(".*") if path.is_file()]
