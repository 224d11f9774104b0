"""A disk with little space: nothing is begun that cannot be finished, and what fills it is ended, with nothing lost."""

import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from support.building import APP, Builder
from trivet.build import list_builds, verify_layer
from trivet.errors import MachineError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system; CI runs as root")

_HINT = "Free some space (df -h shows where) and run the command again."


def _app(*commands: str) -> dict[str, str | None]:
    return {"Procfile": "web: true\n", "trivet.toml": f"[build]\ncommands = {json.dumps(commands)}\n"}


@pytest.fixture
def small(builder: Builder) -> Iterator[Builder]:
    """A builder whose home lies on a disk of 40 MB."""
    root = builder.home.root
    root.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", root), check=True)
    yield builder
    subprocess.run(("umount", "-l", root), check=True)


def test_too_little_space_is_told_before_anything_is_fetched(small: Builder) -> None:
    with pytest.raises(MachineError) as caught:
        small.commit({"Procfile": "web: true\n", "requirements.txt": "flask==3.0.3\n"})
    message, _, rest = caught.value.message.partition(" are free on the disk of ")
    assert message.startswith("Too little space to build: 4")
    assert rest.endswith("/work, and it takes at least 100.0 MB.")
    assert caught.value.hint == _HINT
    assert [step for step in small.told.steps if not step.startswith("exporting")] == []
    assert {path.name for path in small.home.scratch.iterdir()} == {"gate"}


def test_a_build_that_fills_the_disk_leaves_everything_as_it_was(small: Builder) -> None:
    before = small.commit(_app("echo first > made")).build
    with pytest.raises(MachineError) as caught:
        small.commit(_app("head -c 100000000 /dev/zero > big; sleep 600"))
    assert caught.value.message.startswith("The disk is full: ")
    assert caught.value.hint == _HINT
    assert {path.name for path in small.home.scratch.iterdir()} == {"gate"}
    assert [build.id for build in list_builds(small.home, APP)] == [before.id]
    for layer in before.layers:
        verify_layer(small.home, layer)
    assert small.read(before, "made") == "first\n"
    assert small.read(small.commit(_app("echo second > made")).build, "made") == "second\n"
