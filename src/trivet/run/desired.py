"""What is meant to run of a deploy, on disk in its run/ folder: formation, address, power. It outlives every reboot."""

import os
import sys
from pathlib import Path
from typing import TypeVar

from trivet.errors import InvalidDocument, InvalidName
from trivet.host import files
from trivet.model.document import write_document
from trivet.model.formation import Formation
from trivet.model.home import Home
from trivet.model.names import Deploy, parse_app_name, parse_deploy_name
from trivet.model.run import Address
from trivet.run import documents

_FOLDERS = ("status", "logs", "rollouts", "events")
_FORMATION, _ADDRESS = "formation.json", "door.json"
_MOST_PROCESSES = 10_000  # of one type: more than there are ports for
_LAST_PORT = 65535

T = TypeVar("T")


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
    for name in _FOLDERS:
        files.make_directories(home.run(deploy) / name, mode=0o700)
    files.make_directories(home.storage(deploy), mode=0o700)


def sweep(home: Home, deploy: Deploy) -> None:
    """No half-written file is left of a supervisor that was killed; call it before one writes there."""
    for folder in (home.run(deploy), *(home.run(deploy) / name for name in _FOLDERS)):
        files.sweep(folder)


def read_formation(home: Home, deploy: Deploy) -> Formation:
    """The counts that somebody has chosen; none if nobody has. Raises: InvalidDocument, MachineError."""
    path = home.run(deploy) / _FORMATION
    formation = _read(Formation, path)
    for name, count in formation.counts.items() if formation is not None else ():
        if not 0 <= count <= _MOST_PROCESSES:
            raise _out_of_range(path, name, _MOST_PROCESSES)
    return formation or Formation({})


def write_formation(home: Home, deploy: Deploy, formation: Formation) -> None:
    """These counts are chosen. Raises: MachineError."""
    files.replace(home.run(deploy) / _FORMATION, write_document(formation).encode())


def read_address(home: Home, deploy: Deploy) -> Address | None:
    """Where the deploy is reached; None before its first `web` process served. Raises: InvalidDocument, MachineError."""
    path = home.run(deploy) / _ADDRESS
    address = _read(Address, path)
    if address is not None and not 0 < address.port <= _LAST_PORT:
        raise _out_of_range(path, "port", _LAST_PORT)
    return address


def write_address(home: Home, deploy: Deploy, address: Address) -> None:
    """The deploy is reached here. Raises: MachineError."""
    files.replace(home.run(deploy) / _ADDRESS, write_document(address).encode())


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


def mean_stopped(home: Home, deploy: Deploy) -> bool:
    """The deploy is to be stopped. False: it was already, or there is no release to run. Raises: MachineError."""
    if is_stopped(home, deploy) or not (home.run(deploy) / "current").is_symlink():
        return False
    write_stopped(home, deploy, stopped=True)
    return True


def write_current(home: Home, deploy: Deploy, number: int) -> None:
    """This release is the one that runs. A folder that somebody has put in the link's place is kept beside it."""
    path = home.run(deploy) / "current"
    if path.is_dir() and not path.is_symlink():
        path.rename(path.with_name(f"current.found-{os.urandom(4).hex()}"))
    files.replace_link(path, f"../releases/v{number}")


def _read(kind: type[T], path: Path) -> T | None:
    try:
        return documents.read(kind, path, name=f"run/{path.name}")
    except InvalidDocument as error:
        raise InvalidDocument(error.message, hint=_hint(path)) from error


def _out_of_range(path: Path, field: str, most: int) -> InvalidDocument:
    return InvalidDocument(f"run/{path.name} cannot be read: {field} is not between 0 and {most}.", hint=_hint(path))


def _hint(path: Path) -> str:
    choose = "scale web=1" if path.name == _FORMATION else "deploy --port 8000"
    return f"Remove {path} and choose again, for example: trivet {choose}"
