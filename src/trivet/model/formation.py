"""Formation: how many processes of each type run."""

from collections.abc import Iterable, Mapping

from trivet.errors import UnknownProcess
from trivet.model.frozen import frozen
from trivet.model.names import WEB_PROCESS
from trivet.model.process import ProcessType, runnable


@frozen
class Formation:
    """Counts that a person has chosen, by process type; a type without a choice runs 1 if it is `web`, else 0."""

    counts: Mapping[str, int]

    def count(self, process_type: str) -> int:
        return self.counts.get(process_type, 1 if process_type == WEB_PROCESS else 0)

    def scaled(self, changes: Mapping[str, int]) -> "Formation":
        """This formation with other counts for some types."""
        return Formation(dict(sorted({**self.counts, **changes}.items())))

    def processes(self, types: Iterable[ProcessType]) -> tuple[tuple[str, ProcessType], ...]:
        """Every process that is to run, as ("web.1", its type), in the order of the Procfile."""
        return tuple(
            (f"{process.name}.{index}", process)
            for process in runnable(types)
            for index in range(1, self.count(process.name) + 1)
        )


def check_scalable(types: Iterable[ProcessType], changes: Mapping[str, int]) -> None:
    """Raises: UnknownProcess for a type that the release does not have, or that is never part of a formation."""
    known = [process.name for process in runnable(types)]
    for name in changes:
        if name not in known:
            raise UnknownProcess(
                f"There is no process type {name!r} to scale.",
                hint=f"The release has: {', '.join(known) or 'none'}. "
                "The release command is never part of a formation.",
            )
