"""What an earlier version wrote to run/ is what this one reads: a copy of every kind is kept for each version that was released.

A document that gets a field gives it a default; one that loses a field still reads it. Who changes what is in a document
adds a copy of the new kind beside the old ones, and changes none.
"""

import shutil
from pathlib import Path

import pytest

from trivet.model.event import EventKind
from trivet.model.home import Home
from trivet.model.names import AppName, Deploy, DeployName
from trivet.model.run import Address, ProcessState
from trivet.run import Machine, desired, roll_outs
from trivet.run.released import read_environment, read_release
from trivet.run.supervisor import status

_KEPT = Path(__file__).parent / "documents"
_DEPLOY = Deploy(AppName("shop"), DeployName("production"))


@pytest.mark.parametrize("version", sorted(path.name for path in _KEPT.iterdir()))
def test_what_an_earlier_version_wrote_can_be_read(tmp_path: Path, version: str) -> None:
    home = Home(tmp_path)
    shutil.copytree(_KEPT / version / "run", home.run(_DEPLOY))
    home.release(_DEPLOY, 1).mkdir(parents=True)
    shutil.copyfile(_KEPT / version / "release.json", home.release(_DEPLOY, 1) / "release.json")
    home.environment(_DEPLOY, 1).parent.mkdir(parents=True)
    shutil.copyfile(_KEPT / version / "env.json", home.environment(_DEPLOY, 1))
    assert desired.read_address(home, _DEPLOY) == Address("127.0.0.1", 8000)
    assert dict(desired.read_formation(home, _DEPLOY).counts) == {"worker": 1}
    roll_out = roll_outs.read_roll_out(home, _DEPLOY, 1)
    assert roll_out is not None
    assert roll_out.succeeded
    assert [kind.name for kind in read_release(home, _DEPLOY, 1).processes] == ["web", "worker"]
    assert read_environment(home, _DEPLOY, 1).values == {"KEY": "value"}
    found = {each.name: each.state for each in status.read_all(home.run(_DEPLOY) / "status")}
    assert found == {"v1.web.1": ProcessState.RUNNING, "v1.worker.1": ProcessState.RUNNING}
    kinds = [event.kind for event in Machine(home).events(_DEPLOY)]
    assert {EventKind.STARTED, EventKind.READY, EventKind.SWITCHED, EventKind.SCALED} <= set(kinds)
    assert EventKind.LOST not in kinds
