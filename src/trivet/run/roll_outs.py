"""How roll-outs ended, one document each in run/rollouts: what a client that was killed could not be told."""

from pathlib import Path

from trivet.host import files
from trivet.model.document import write_document
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.run import RollOut
from trivet.run import documents


def write_roll_out(home: Home, roll_out: RollOut) -> None:
    """It is on disk. Raises: MachineError."""
    files.replace(_path(home, roll_out.deploy, roll_out.release), write_document(roll_out).encode(), mode=0o600)


def read_roll_out(home: Home, deploy: Deploy, number: int) -> RollOut | None:
    """How the roll-out of this release ended; None if it never began or has not ended.

    Raises: InvalidDocument, MachineError.
    """
    return documents.read(RollOut, _path(home, deploy, number), name=f"run/rollouts/v{number}.json")


def _path(home: Home, deploy: Deploy, number: int) -> Path:
    return home.run(deploy) / "rollouts" / f"v{number}.json"
