"""Ranges of versions, as npm reads them, and the program of the machine that suits one."""

from pathlib import Path

import pytest

from trivet.build.ranges import is_range, suits
from trivet.build.toolbox import find_program
from trivet.errors import MachineError
from trivet.model.build_plan import Tool


@pytest.mark.parametrize(
    ("wanted", "suitable"),
    [
        *(
            (wanted, True)
            for wanted in ("", "*", "20", ">=18", ">= 18", "^20.1", "~20.20", "18 || 20", "18||20", "20.x")
        ),
        *((wanted, True) for wanted in ("18 - 20", ">=18 <21", ">=v18.0.0", ">=20.0.0 <= 22", " 20 ", "v20.20.2")),
        *(
            (wanted, False)
            for wanted in ("18", ">=22", ">20", "<20", "18.x || 22.x", "~20.1", "^20.21", "<= 20.1.0", ">=20.20.3")
        ),
    ],
)
def test_a_range_means_what_npm_means_by_it(wanted: str, suitable: bool) -> None:
    assert not wanted or is_range(wanted)
    assert suits("20.20.2", wanted) is suitable


@pytest.mark.parametrize("text", ["latest", "lts/*", "twenty", ">=", "1.2.3.4"])
def test_what_is_no_range_is_told_apart(text: str) -> None:
    assert not is_range(text)


def _program(folder: Path, version: str) -> Path:
    folder.mkdir()
    path = folder / "trivet-test-tool"
    path.write_text(f"#!/bin/sh\necho v{version}\n")
    path.chmod(0o755)
    return path


def test_of_several_programs_the_first_that_suits_is_taken(tmp_path: Path) -> None:
    old, new = _program(tmp_path / "old", "18.1.0"), _program(tmp_path / "new", "20.2.0")
    caller = {"PATH": f"{old.parent}:{new.parent}:{old.parent}"}
    assert find_program(Tool("trivet-test-tool"), caller, None, Path("/nonexistent")).path == str(old)
    found = find_program(
        Tool("trivet-test-tool", wanted=">=20", wanted_by="engines"), caller, None, Path("/nonexistent")
    )
    assert (found.path, found.version) == (str(new), "20.2.0")


def test_if_none_suits_all_that_are_there_are_named(tmp_path: Path) -> None:
    old, new = _program(tmp_path / "old", "18.1.0"), _program(tmp_path / "new", "20.2.0")
    tool = Tool("trivet-test-tool", hint="Install one.", wanted=">=22", wanted_by="engines.node in package.json")
    with pytest.raises(MachineError) as caught:
        find_program(tool, {"PATH": f"{old.parent}:{new.parent}"}, None, Path("/nonexistent"))
    assert caught.value.message == (
        "The app asks for trivet-test-tool >=22 (engines.node in package.json); "
        f"on this machine there is 18.1.0 ({old}), 20.2.0 ({new})."
    )
    assert caught.value.hint == "Install one."
