"""A one-off's control group: only where it has limits that need one, and this machine has groups."""

from collections.abc import Iterator
from contextlib import contextmanager

from trivet.errors import RunError
from trivet.host.cgroup import Cgroup
from trivet.host.cgroups import Cgroups
from trivet.host.spawn import Cell
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.process import Limits
from trivet.run.leftovers import clear_away_groups


@frozen
class Holding:
    """What holds a one-off to its limits; `group` is None if nothing does."""

    limits: Limits
    group: Cgroup | None

    @property
    def cell(self) -> Cell | None:
        """It goes there by itself: we may have other threads, whose locks only a fork by Python knows."""
        return None if self.group is None else Cell(self.group, None)

    @property
    def want(self) -> str | None:
        """Where memory ran out, if the kernel has ended any of it for that: "limit 64 MB"; None if not."""
        if self.group is None or not self.group.memory_kills():
            return None
        return self.group.where_memory_ran_out(self.limits)


def owner_of(deploy: Deploy) -> str:
    """The name under which a deploy's groups lie."""
    return f"{deploy.app}.{deploy.name}"


@contextmanager
def holding(home: Home, deploy: Deploy, name: str, limits: Limits) -> Iterator[Holding]:
    """Inside the block what is started in its cell is held; afterwards all in there has ended. Raises: RunError."""
    try:
        group = Cgroups(home.root).make(owner_of(deploy), name, limits) if limits.controllers else None
    except OSError as error:
        raise RunError(
            f"The command cannot be held to its limits ({error}).",
            hint="`trivet doctor` tells what this machine has for limits.",
        ) from error
    try:
        yield Holding(limits, group)
    finally:
        if group is not None:
            clear_away_groups((group,))
