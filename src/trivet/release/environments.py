"""Environments: the config of what runs, in plain, where the run stage reads it (environment_place.py says where that is).

What a reboot takes away is written again from the release's folder, with the key.
"""

import contextlib
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from trivet.host.files import make_directories, refused, remove_tree, replace
from trivet.host.loan import borrowed, remove_unless_borrowed
from trivet.host.processes import start_time
from trivet.model.config import Config
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.release.entry import env_file
from trivet.release.environment_place import make_place
from trivet.release.folder import read_config_of
from trivet.release.vault import Vault

_NAME = re.compile(r"v([1-9][0-9]{0,8})\.json")
_HALF_WRITTEN = re.compile(r"\.v[1-9][0-9]{0,8}\.json\.([1-9][0-9]{0,8})\.[0-9a-f]+")  # host/files.py: by this process


class Environments:
    """The environments of an installation. Each file is its owner's alone, and whole whenever somebody reads it."""

    def __init__(self, home: Home, vault: Vault | None = None) -> None:
        self._home = home
        self._vault = vault or Vault(home)

    def write(self, deploy: Deploy, number: int, config: Config) -> None:
        """The run stage can read the config of the release. Raises: MachineError."""
        path = self._home.environment(deploy, number)
        try:
            make_place(self._home)
            make_directories(path.parent, mode=0o700)
            replace(path, env_file(config), mode=0o600)
        except OSError as error:
            raise refused(error, f"write {path}") from error

    def restore(self, deploy: Deploy, number: int) -> bool:
        """The same for a release that was written before, from its folder; whether it was not there.

        Raises: UnknownRelease, ConfigLocked, InvalidDocument, MachineError.
        """
        if self._home.environment(deploy, number).is_file():
            return False
        self.write(deploy, number, read_config_of(self._home, self._vault, deploy, number))
        return True

    @contextmanager
    def lent(self, deploy: Deploy, number: int) -> Iterator[None]:
        """The environment is there inside the block, whoever clears away meanwhile. Raises: as `restore`."""
        with contextlib.ExitStack() as loan:
            while not _borrow(loan, self._home.environment(deploy, number)):
                self.restore(deploy, number)
            yield

    def keep_only(self, deploy: Deploy, numbers: Collection[int]) -> None:
        """The deploy's other environments are gone, but for those that are lent. Raises: MachineError."""
        for path in _files(self._folder(deploy)):
            if not _is_needed(path, numbers):
                remove_unless_borrowed(path)

    def remove_one(self, deploy: Deploy, number: int) -> None:
        """The environment of the release is gone, unless it is lent. Raises: MachineError."""
        remove_unless_borrowed(self._home.environment(deploy, number))

    def remove(self, deploy: Deploy) -> None:
        """No environment of the deploy is left. Raises: MachineError."""
        folder = self._folder(deploy)
        try:
            remove_tree(folder)
        except OSError as error:
            raise refused(error, f"remove {folder}") from error
        with contextlib.suppress(OSError):  # the app has another deploy
            folder.parent.rmdir()

    def _folder(self, deploy: Deploy) -> Path:
        return self._home.environments / deploy.app / deploy.name


def _borrow(loan: contextlib.ExitStack, path: Path) -> bool:
    try:
        loan.enter_context(borrowed(path))
    except OSError:
        return False
    return True


def _files(folder: Path) -> tuple[Path, ...]:
    try:
        return tuple(folder.iterdir())
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise refused(error, f"read {folder}") from error


def _is_needed(path: Path, numbers: Collection[int]) -> bool:
    if match := _NAME.fullmatch(path.name):
        return int(match[1]) in numbers
    match = _HALF_WRITTEN.fullmatch(path.name)
    return match is not None and start_time(int(match[1])) is not None
