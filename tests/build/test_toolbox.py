"""Programs of the machine, and how their versions are told."""

import json
from pathlib import Path

import pytest

from trivet.build.toolbox import find_program
from trivet.model.build import Program
from trivet.model.build_plan import Tool


def _install(folder: Path, manifest: str) -> Path:
    """A Node package with a program that says 1.2.3, found in the folder `bin` as npm would put it there."""
    program = folder / "lib" / "node_modules" / "packer" / "bin" / "cli.js"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho packer 1.2.3\n")
    program.chmod(0o755)
    (program.parent.parent / "package.json").write_text(manifest)
    (folder / "bin").mkdir()
    (folder / "bin" / "packer").symlink_to("../lib/node_modules/packer/bin/cli.js")
    return program


@pytest.mark.parametrize(
    ("manifest", "version"),
    [
        (json.dumps({"name": "packer", "version": "9.8.7-rc.1"}), "9.8.7-rc.1"),
        (json.dumps({"name": "packer"}), "1.2.3"),
        (json.dumps({"version": ["9.8.7"]}), "1.2.3"),
        (json.dumps({"version": "newest"}), "1.2.3"),
        (json.dumps("9.8.7"), "1.2.3"),
        ("{", "1.2.3"),
    ],
)
def test_the_version_of_a_node_program_is_read_where_it_is_written(tmp_path: Path, manifest: str, version: str) -> None:
    program = _install(tmp_path, manifest)
    found = find_program(Tool("packer"), {"PATH": str(tmp_path / "bin")}, None, Path("/nonexistent"))
    assert found == Program(str(program), version)
