"""What differs between two releases: shown by `releases diff` and before a rollback. Names of config keys, no values."""

from trivet.model.config import Config, ConfigChange, compare
from trivet.model.frozen import frozen
from trivet.model.process import ProcessChange, compare_processes
from trivet.model.release import Record


@frozen
class ReleaseDiff:
    """From release `old` to release `new` (numbers). Commits are full git object names."""

    old: int
    new: int
    same_build: bool
    old_commit: str
    new_commit: str
    processes: tuple[ProcessChange, ...]
    config: ConfigChange

    @property
    def lines(self) -> tuple[str, ...]:
        """The process types that differ, line by line."""
        return tuple(line for change in self.processes for line in change.lines)


def diff(old: Record, new: Record, old_config: Config, new_config: Config) -> ReleaseDiff:
    """What differs from the old release to the new one."""
    before, after = old.release, new.release
    return ReleaseDiff(
        old=before.number,
        new=after.number,
        same_build=before.build.id == after.build.id,
        old_commit=before.build.source.commit,
        new_commit=after.build.source.commit,
        processes=compare_processes(before.processes, after.processes),
        config=compare(old_config, new_config),
    )
