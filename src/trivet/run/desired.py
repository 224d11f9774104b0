"""What is meant to run of a deploy, on disk in its run/ folder: formation, address, power. It outlives every reboot."""

import sys
from pathlib import Path

from trivet.errors import InvalidName
from trivet.host import files
from trivet.model.document import read_document, write_document
from trivet.model.formation import Formation
from trivet.model.home import Home
from trivet.model.names import Deploy, parse_app_name, parse_deploy_name
from trivet.model.run import Address


def find_deploys(home: Home) -> tuple[Deploy, ...]:
    """Every deploy that the run stage has ever run, and that was not destroyed."""
    found: list[Deploy] = []
    for path in sorted(home.apps.glob("*/deploys/*/run")):
        try:
            found.append(Deploy(parse_app_name(path.parts[-4]), parse_deploy_name(path.parts[-2])))
        except InvalidName as error:
            sys.stderr.write(f"trivet: {path} is not ours: {error}\n")
    return tuple(found)


def make_folders(home: Home, deploy: Deploy) -> None:
    """The folders that the run stage writes in exist; nobody else may look into them."""
    for name in ("status", "logs", "rollouts"):
        files.make_directories(home.run(deploy) / name, mode=0o700)
    files.make_directories(home.storage(deploy), mode=0o700)


def read_formation(home: Home, deploy: Deploy) -> Formation:
    """The counts that somebody has chosen; none if nobody has. Raises: InvalidDocument."""
    text = _read(home.run(deploy) / "formation.json")
    return read_document(Formation, text, name="run/formation.json") if text is not None else Formation({})


def write_formation(home: Home, deploy: Deploy, formation: Formation) -> None:
    """These counts are chosen. Raises: MachineError."""
    files.replace(home.run(deploy) / "formation.json", write_document(formation).encode())


def read_address(home: Home, deploy: Deploy) -> Address | None:
    """Where the deploy is reached; None before its first `web` process served. Raises: InvalidDocument."""
    text = _read(home.run(deploy) / "door.json")
    return read_document(Address, text, name="run/door.json") if text is not None else None


def write_address(home: Home, deploy: Deploy, address: Address) -> None:
    """The deploy is reached here. Raises: MachineError."""
    files.replace(home.run(deploy) / "door.json", write_document(address).encode())


def is_stopped(home: Home, deploy: Deploy) -> bool:
    """Whether somebody has stopped the deploy and nobody has started it since."""
    return (home.run(deploy) / "stopped").exists()


def write_stopped(home: Home, deploy: Deploy, *, stopped: bool) -> None:
    """The deploy is to be stopped, or to run. Raises: MachineError."""
    path = home.run(deploy) / "stopped"
    if stopped:
        files.replace(path, b"")
    else:
        files.remove(path)


def write_current(home: Home, deploy: Deploy, number: int) -> None:
    """This release is the one that runs."""
    files.replace_link(home.run(deploy) / "current", f"../releases/v{number}")


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
