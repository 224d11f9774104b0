"""Seclusion: how a command is kept to its view on this machine, the strongest way that the machine permits.

Namespaces take all else out of sight, and Landlock stands inside them; bubblewrap where only that program may have
namespaces; Landlock alone where nobody may, as in many containers.
"""

import os
import shutil
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from trivet.errors import InputError, MachineError
from trivet.host import bubblewrap
from trivet.host.call_filter import Calls, can_filter
from trivet.host.limits import Limits, hold_processes
from trivet.host.sandbox import Sandbox, Walls
from trivet.host.view import View, system_paths
from trivet.model.frozen import frozen

_NETWORK_ABI = 4
_MORE_TO_READ = (Path("/proc"),)


class Seclusion(StrEnum):
    """The ways, the strongest first. `namespaces` are made by root, `user namespaces` by anybody."""

    NAMESPACES = "namespaces"
    USER_NAMESPACES = "user namespaces"
    BUBBLEWRAP = "bubblewrap"
    LANDLOCK = "landlock"
    NONE = "none"

    @property
    def is_complete(self) -> bool:
        """Whether processes, network and what may be read are kept apart, not only what may be written."""
        return self not in (Seclusion.LANDLOCK, Seclusion.NONE)


@frozen
class Confined:
    """A command's view, and how it is kept to it."""

    view: View
    seclusion: Seclusion
    limits: Limits | None = None

    def argv(self, argv: tuple[str, ...], directory: Path) -> tuple[str, ...]:
        """What is to be run so that this runs confined."""
        return bubblewrap.wrap(argv, self.view, directory) if self.seclusion is Seclusion.BUBBLEWRAP else argv

    def close(self, sandbox: Sandbox, directory: Path, on_start: Callable[[], None]) -> None:
        """This process, a new child, is confined for ever. `on_start` is called in each process made on the way.

        Raises: OSError; then the process must not go on.
        """
        if self.seclusion in (Seclusion.NAMESPACES, Seclusion.USER_NAMESPACES):
            from trivet.host.namespaces import Namespaces

            Namespaces(self.seclusion is Seclusion.USER_NAMESPACES, on_start).enter(self.view, directory)
            on_start()
            self._hold(in_namespace=True)
            sandbox.seal(self._walls_inside())
            return
        self._hold(in_namespace=False)
        if self.seclusion is Seclusion.LANDLOCK:
            sandbox.seal(self._walls_alone())
        elif (
            self.seclusion is Seclusion.BUBBLEWRAP and not bubblewrap.is_privileged()
        ):  # else it would not be any more; nor can it mount behind Landlock's walls
            sandbox.leave(Calls.OF_OWN_MACHINE)

    def _hold(self, *, in_namespace: bool) -> None:
        if self.limits is not None:
            hold_processes(self.limits, in_namespace=in_namespace)

    def _walls_inside(self) -> Walls:
        """Those in a tree of its own, in which everything is meant to be read."""
        folders = (*self.view.writable, self.view.temporary, Path("/dev/shm"))
        return Walls(folders, network=self.view.network, calls=Calls.OF_OWN_MACHINE)

    def _walls_alone(self) -> Walls:
        """Those in the tree of the machine; /dev/shm is everybody's there."""
        readable = (*system_paths(), *_MORE_TO_READ, *self.view.readable)
        calls = Calls.WITH_NETWORK if self.view.network else Calls.WITHOUT_NETWORK
        folders = (*self.view.writable, self.view.temporary)
        return Walls(folders, readable=readable, network=self.view.network, calls=calls)


def find_seclusion(chosen: str, works: Callable[[Seclusion], bool]) -> Seclusion:
    """The strongest way that `works` here, or the chosen one ("": none is). Raises: MachineError, InputError."""
    if chosen:
        return _chosen(chosen, works)
    for way in _candidates():
        if works(way):
            return way
    if Sandbox().sealing.is_there:
        return Seclusion.LANDLOCK
    raise MachineError(
        "This machine has no way to confine a build: neither Landlock nor namespaces.",
        hint="Use Linux 5.13 or newer, or install bubblewrap. TRIVET_SECLUSION=none builds without any protection.",
    )


def _chosen(name: str, works: Callable[[Seclusion], bool]) -> Seclusion:
    if name not in list(Seclusion):
        raise InputError(
            f"TRIVET_SECLUSION is {name!r}, which is no way to confine a build.",
            hint=f"There is: {', '.join(Seclusion)}. Without it the strongest that works is used.",
        )
    if not works(Seclusion(name)):
        raise MachineError(
            f"This machine cannot confine a build by {name}, which TRIVET_SECLUSION asks for.",
            hint="`trivet doctor` says what it can.",
        )
    return Seclusion(name)


def network_enforced(seclusion: Seclusion) -> str:
    """What is kept from the network of a command without one: `none` (it has none), `tcp` (else open), `open`."""
    if seclusion.is_complete or (seclusion is Seclusion.LANDLOCK and can_filter()):
        return "none"
    return "tcp" if seclusion is Seclusion.LANDLOCK and Sandbox().sealing.abi >= _NETWORK_ABI else "open"


def _candidates() -> tuple[Seclusion, ...]:
    own = (Seclusion.NAMESPACES, Seclusion.USER_NAMESPACES) if os.geteuid() == 0 else (Seclusion.USER_NAMESPACES,)
    return (*own, Seclusion.BUBBLEWRAP) if shutil.which(bubblewrap.PROGRAM) else own
