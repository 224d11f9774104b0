"""Run once: a single attached process of a release, in its environment and behind its walls."""

from collections.abc import Callable

from trivet.errors import NothingReleased, UnknownProcess
from trivet.flows.installation import Installation
from trivet.flows.present import tell_unheld
from trivet.host.cgroups import find_means
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.process import ProcessType, find_process_type
from trivet.run import Machine


@frozen
class RunRequest:
    """A command, in a release (None: the running one), with the limits of a process type (None: none).

    Without words it is the process type's own command.
    """

    command: tuple[str, ...]
    release: int | None = None
    kind: str | None = None


def run_once(installation: Installation, deploy: Deploy, wanted: RunRequest, tell: Callable[[str], None]) -> int:
    """The exit status of the command, run in the release's environment. What a person should know of it besides is told.

    Raises: NothingReleased, UnknownRelease, UnknownProcess, CannotSeal, MachineError.
    """
    machine = Machine(installation.home)
    number = wanted.release or machine.current(deploy)
    if number is None:
        raise NothingReleased(f"{deploy} has no release to run in.", hint="Deploy first: trivet deploy")
    kind = None if wanted.kind is None else _find_kind(machine, deploy, number, wanted.kind)
    if kind is not None and (unheld := tell_unheld(find_means(), kind)):
        tell(unheld)
    ended = machine.run_once(deploy, number, wanted.command, kind)
    if ended.want is not None and ended.status:
        tell(f"the command ran out of memory ({ended.want})")
    return ended.status if ended.status is not None else 1


def _find_kind(machine: Machine, deploy: Deploy, number: int, name: str) -> ProcessType:
    types = machine.process_types(deploy, number)
    kind = find_process_type(types, name)
    if kind is None:
        names = ", ".join(each.name for each in types)
        raise UnknownProcess(f"v{number} of {deploy} has no process type {name!r}.", hint=f"It has: {names}.")
    return kind
