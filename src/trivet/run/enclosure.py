"""Enclosure: what the processes of an app are closed in: who they are, where they may write, and what they may read.

docs/decisions/0018-apps-apart.md has the reasons, docs/explanation/sealed-apps.md what was tried against it.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from trivet.errors import MachineError
from trivet.host import files, user
from trivet.host.sandbox import Sandbox, Walls
from trivet.host.sight import LISTED, paths_in_sight, private_home
from trivet.host.user import User
from trivet.host.view import contains, toolchain
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.names import AppName, Deploy
from trivet.run import users

_SHARED = Path("/dev/shm")


@frozen
class Place:
    """Where processes of one release are put: who they are (None: our user), what they may read, what else they may write."""

    user: User | None
    storage: Path
    readable: tuple[Path, ...]
    writable: tuple[Path, ...]

    @property
    def variables(self) -> Mapping[str, str]:
        """What says who it is to programs that do not look it up; the config may say something else."""
        return {} if self.user is None else {"USER": self.user.name, "LOGNAME": self.user.name}

    def walls(self, temporary: Path, log: Path | None = None) -> Walls:
        """Those of one process, whose own the temporary folder and the log are. Raises: OSError."""
        if self.user is not None:
            os.chown(temporary, self.user.number, self.user.group)
        files = () if log is None else (log,)
        return Walls((temporary, self.storage, _SHARED, *self.writable), files, readable=self.readable, listed=LISTED)


@frozen
class Apartness:
    """How apps are kept apart here: as users of their own or not; what of the way to the home is closed to those."""

    as_users: bool
    closed: Path | None


def examine(home: Home) -> Apartness:
    """How apps of this home would be kept apart. Nothing is changed. Raises: OSError."""
    as_users = users.are_kept_apart()
    return Apartness(as_users, user.closed_folder(home.root) if as_users else None)


class Enclosure:
    """One home's. `sandbox` is what this kernel has to close a process in."""

    def __init__(self, home: Home, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._home = home
        self._private = (home.root.resolve(), *private_home(os.geteuid()))
        self._keeps_apart = users.are_kept_apart()
        self._sights: dict[bool, tuple[Path, ...]] = {}
        self._last: tuple[Deploy, tuple[Path, ...], Place] | None = None

    def place(self, deploy: Deploy, reads: tuple[Path, ...]) -> Place:
        """Where processes of the deploy are put whose code is what they read: made ready, once for all that share `reads`.

        Raises: MachineError.
        """
        if self._last is None or self._last[0] != deploy or self._last[1] is not reads:
            self._last = (deploy, reads, self._prepare(deploy, reads))
        return self._last[2]

    def _prepare(self, deploy: Deploy, reads: tuple[Path, ...]) -> Place:
        home, app = self._home, deploy.app
        own = tuple(path for path in reads if path.is_relative_to(home.root))
        tools = (path for program in reads if program not in own for path in toolchain(program, self._private))
        outside, writable = (*tools, *_read_lists(home, app, "readable")), _read_lists(home, app, "writable")
        owner = self._user(app, (*outside, *writable))
        if owner is not None:
            self._hand_over(deploy, owner, own)
        in_sight = self._in_sight(closed_too=owner is not None and owner.passes)
        return Place(owner, home.storage(deploy), (*in_sight, *own, *outside), writable)

    def _in_sight(self, *, closed_too: bool) -> tuple[Path, ...]:
        if closed_too not in self._sights:
            self._sights[closed_too] = paths_in_sight(self._private, closed_too=closed_too)
        return self._sights[closed_too]

    def _user(self, app: AppName, outside: tuple[Path, ...]) -> User | None:
        if not self._keeps_apart:
            return None
        found = users.user_of(self._home, app)
        closed = [folder for path in (self._home.root, *outside) if (folder := user.closed_folder(path))]
        if closed and not (self.sandbox.sealing.is_there and users.may_pass()):
            raise MachineError(
                f"The user of {app} cannot go through {closed[0]}, which is closed to others.",
                hint=f"Let others pass (chmod o+x {closed[0]}), or put what lies in there elsewhere.",
            )
        return replace(found, passes=bool(closed))

    def _hand_over(self, deploy: Deploy, owner: User, reads: tuple[Path, ...]) -> None:
        """The storage is the user's, and the ways to it, to the temporary folders and to its code are open."""
        home = self._home
        try:
            for path in (home.temporary / "any", home.storage(deploy), *reads):
                for folder in path.parents:
                    if folder.is_relative_to(home.root):
                        user.let_pass(folder)
            for path in reads:
                user.let_read(path)
            user.give(home.storage(deploy).resolve(), owner)
        except OSError as error:
            raise files.refused(error, f"make {deploy} the user {owner.number}'s") from error


def _read_lists(home: Home, app: AppName, what: str) -> tuple[Path, ...]:
    """The paths in the operator's lists that are there. Raises: MachineError."""
    lists = (home.opened(what, None), home.opened(what, app))
    return tuple(path for each in lists for path in _read_list(each, home))


def _read_list(path: Path, home: Home) -> Iterator[Path]:
    text = ""
    with contextlib.suppress(FileNotFoundError):
        text = path.read_text()
    for number, line in enumerate(text.splitlines(), 1):
        named = line.partition("#")[0].strip()
        if not named:
            continue
        if not named.startswith("/") or contains(Path(named), (home.root,)):
            why = "holds all of Trivet's own" if named.startswith("/") else "is no absolute path"
            raise MachineError(
                f"{path}:{number}: {named!r} {why}.",
                hint="Name folders and files of the machine, one a line, that apps may use.",
            )
        if os.path.exists(named):  # noqa: PTH110 - False if forbidden
            yield Path(named)
