"""Environments: what is to run has its config where the run stage reads it. The step before anything is started.

The run stage has no key. So whoever asks it to start something calls this first: after a reboot nothing is left of the
environments that lay in memory.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from trivet.errors import TrivetError
from trivet.flows.installation import Installation, Progress
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.release import Environments
from trivet.run import Machine


@frozen
class Restored:
    """The deploys whose environment was written again, and why that of others cannot be."""

    written: tuple[Deploy, ...]
    locked: Mapping[Deploy, TrivetError]

    @property
    def notices(self) -> tuple[str, ...]:
        """What a person must know of each that cannot be started."""
        return tuple(
            f"{deploy} cannot be started. {error.message} {error.hint}" for deploy, error in self.locked.items()
        )


def restore_all(installation: Installation) -> Restored:
    """Every deploy that is meant to run has the environment of its release, as far as that can be.

    So has the release that the supervisor may go back to. Raises: MachineError.
    """
    machine, environments = Machine(installation.home), Environments(installation.home)
    written: list[Deploy] = []
    locked: dict[Deploy, TrivetError] = {}
    for deploy, number in (*machine.fallbacks().items(), *machine.current_releases().items()):
        try:
            if environments.restore(deploy, number):
                written.append(deploy)
        except TrivetError as error:
            locked[deploy] = error
    return Restored(tuple(dict.fromkeys(written)), locked)


def restore_unsupervised(installation: Installation, progress: Progress) -> None:
    """As `restore_all`, unless a supervisor runs: whoever is to start one does this first. What is locked is told.

    Raises: MachineError.
    """
    if Machine(installation.home).is_up():
        return
    for notice in restore_all(installation).notices:
        progress.notice(notice)


def restore(installation: Installation, deploy: Deploy) -> None:
    """The release that is meant to run has its environment. Raises: ConfigLocked, InvalidDocument, MachineError."""
    number = Machine(installation.home).current(deploy)
    if number is not None:
        Environments(installation.home).restore(deploy, number)


def tidy(installation: Installation, deploy: Deploy) -> None:
    """Of the deploy only the release that is meant to run has an environment: a command that was killed left others.

    The caller holds the deploy's lock. Raises: MachineError.
    """
    number = Machine(installation.home).current_releases().get(deploy)
    if number is not None:
        Environments(installation.home).keep_only(deploy, {number})


@contextmanager
def lent(installation: Installation, deploy: Deploy, number: int | None) -> Iterator[None]:
    """Inside the block the release (None: the running one) has its environment; afterwards, if it runs.

    Raises: UnknownRelease, ConfigLocked, InvalidDocument, MachineError.
    """
    machine, environments = Machine(installation.home), Environments(installation.home)
    chosen = number or machine.current(deploy)
    if chosen is None:  # whoever is called then says so
        yield
        return
    was_there = installation.home.environment(deploy, chosen).is_file()
    try:
        with environments.lent(deploy, chosen):
            yield
    finally:
        if not was_there and machine.current_releases().get(deploy) != chosen:
            environments.remove_one(deploy, chosen)
