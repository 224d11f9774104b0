"""What was altered in a layer, named by file."""

import os
from pathlib import Path

import pytest

from trivet.build.store import Store
from trivet.host.integrity import find_fault
from trivet.model.build import Layer
from trivet.model.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def layer(home: Home, tmp_path: Path) -> Layer:
    """A layer of two files in two folders, one of them empty."""
    folder = tmp_path / "made"
    (folder / "lib").mkdir(parents=True)
    (folder / "a.py").write_text("a\n")
    (folder / "lib" / "b.py").write_text("b\n")
    (folder / "empty").touch()
    home.scratch.mkdir(parents=True)
    staged = home.scratch / "staged"
    folder.rename(staged)
    return Store(home).keep(staged, "app", 1_000_000)


def _path(home: Home, layer: Layer, name: str) -> Path:
    folder = home.layers / layer.digest
    for each in (folder, folder / "lib"):
        each.chmod(0o755)
    path = folder / name
    if path.exists():
        path.chmod(0o644)
    return path


def _told(home: Home, layer: Layer) -> str:
    """What is said of the layer, without the beginning that is the same of all."""
    fault = find_fault(home, layer)
    assert fault is not None
    assert (fault.part, fault.path) == ("app", home.layers / layer.digest)
    return fault.told.removeprefix(f"the layer 'app' ({layer.digest[:12]}) ")


def test_an_untouched_layer_is_what_was_built(home: Home, layer: Layer) -> None:
    assert find_fault(home, layer) is None


def test_a_file_written_through_the_inode_that_it_shares_is_named(home: Home, layer: Layer) -> None:
    _path(home, layer, "lib/b.py").write_text("evil\n")
    assert _told(home, layer) == "was altered after it was built: 'lib/b.py'"


def test_a_file_that_was_added_is_named(home: Home, layer: Layer) -> None:
    _path(home, layer, "lib/new.py").write_text("evil\n")
    assert _told(home, layer) == "was altered after it was built: 'lib/new.py'"


def test_a_file_that_may_be_executed_now_is_named(home: Home, layer: Layer) -> None:
    _path(home, layer, "a.py").chmod(0o755)
    assert _told(home, layer) == "was altered after it was built: 'a.py'"


def test_a_file_that_was_taken_away_alters_the_layer(home: Home, layer: Layer) -> None:
    _path(home, layer, "a.py").unlink()
    assert _told(home, layer) == "was altered after it was built: files were taken away, emptied or renamed"


def test_a_pipe_alters_the_layer(home: Home, layer: Layer) -> None:
    os.mkfifo(_path(home, layer, "pipe"))
    assert _told(home, layer) == "was altered after it was built: it holds what is no file, folder or link"


def test_many_altered_files_are_counted(home: Home, layer: Layer) -> None:
    for number in range(7):
        _path(home, layer, f"new{number}").write_text(f"{number}\n")
    fault = find_fault(home, layer)
    assert fault is not None
    assert fault.files == tuple(f"new{number}" for number in range(7))
    assert fault.told.endswith("'new0', 'new1', 'new2', 'new3', 'new4' and 2 more")


def test_a_layer_that_is_gone_is_missing(home: Home, layer: Layer) -> None:
    (home.layers / layer.digest).rename(home.layers / "away")
    assert _told(home, layer) == "is missing from the store"
