"""Up and down: the supervisor of this machine, started and stopped in the open."""

import contextlib
from collections.abc import Callable, Iterable, Mapping

from trivet.errors import AlteredLayer, TrivetError
from trivet.flows.environments import restore_all
from trivet.flows.installation import Installation
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.run import ProcessStatus
from trivet.run import Machine, version_of


@frozen
class Up:
    """What runs after an `up`, and the deploys that were not started: since their build was altered, or their config is
    locked.

    `version` is the supervisor's; `replaced` that of the one that it took over from, if there was one.
    """

    processes: tuple[ProcessStatus, ...]
    altered: Mapping[Deploy, AlteredLayer]
    locked: Mapping[Deploy, TrivetError]
    version: str
    replaced: str | None = None


def up(installation: Installation) -> Up:
    """The supervisor runs, of this version or a later one, and so does everything that ran before and is still as built.

    Raises: RunError, Busy (another version's runs, with a change in flight).
    """
    machine = Machine(installation.home)
    restored = restore_all(installation)
    was_up = machine.is_up()
    altered = machine.up(installation.by)
    replaced = machine.renew(installation.by)
    if was_up:
        _start_missing(machine, restored.written)
    return Up(machine.processes(None), altered, restored.locked, version_of(machine.version() or ""), replaced)


def run_in_foreground(installation: Installation, tell: Callable[[str], None]) -> None:
    """This process is the supervisor until it ends: for init systems. `tell` hears of what cannot be started.

    Raises: RunError.
    """
    for notice in restore_all(installation).notices:
        tell(notice)
    Machine(installation.home).run_foreground(installation.by)


def down(installation: Installation) -> bool:
    """Nothing of Trivet runs; the next `up` brings back what ran. False: nothing ran in the first place."""
    machine = Machine(installation.home)
    was_running = machine.is_up() or bool(machine.processes(None))
    machine.down(installation.by)
    return was_running


def _start_missing(machine: Machine, deploys: Iterable[Deploy]) -> None:
    """What the supervisor could not start without an environment runs; what runs already is left alone."""
    for deploy in deploys:
        with contextlib.suppress(TrivetError):  # the supervisor has told why, or a change is on its way
            if not machine.is_stopped(deploy):
                machine.start(deploy)
