"""What run/ says of a deploy and cannot be read: each file's own reason, all of them at once."""

from collections.abc import Callable, Mapping

from trivet.errors import InvalidDocument, MachineError, TrivetError
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.run import desired
from trivet.run.released import current_release

_READS: tuple[Callable[[Home, Deploy], object], ...] = (current_release, desired.read_formation, desired.read_address)


def find_unread(home: Home) -> Mapping[Deploy, tuple[TrivetError, ...]]:
    """Why, by deploy; those of which everything can be read are not in it."""
    refusals = {
        deploy: tuple(filter(None, (_refusal(read, home, deploy) for read in _READS)))
        for deploy in desired.find_deploys(home)
    }
    return {deploy: errors for deploy, errors in refusals.items() if errors}


def _refusal(read: Callable[[Home, Deploy], object], home: Home, deploy: Deploy) -> TrivetError | None:
    try:
        read(home, deploy)
    except (InvalidDocument, MachineError) as error:
        return error
    return None
