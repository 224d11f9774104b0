"""What differs between two releases: shown by `releases diff` and before a rollback. Names of config keys, no values."""

from dataclasses import dataclass

from trivet.model.config import Config, ConfigChange, compare
from trivet.model.process import ProcessType, find_process_type
from trivet.model.release import Record


@dataclass(frozen=True, slots=True)
class ProcessChange:
    """A process type that differs: `old` is None if it was added, `new` if it was removed."""

    name: str
    old: ProcessType | None
    new: ProcessType | None

    @property
    def lines(self) -> tuple[str, ...]:
        """As in a diff, with the commands: `- web: …`, `+ web: …`, `~ web: …` if only its settings differ."""
        if self.old and self.new and self.old.command == self.new.command:
            return (f"~ {self.name}: {self.new.command} (its settings in trivet.toml differ)",)
        sides = (("-", self.old), ("+", self.new))
        return tuple(f"{mark} {self.name}: {process.command}" for mark, process in sides if process)


@dataclass(frozen=True, slots=True)
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
        processes=_compare_processes(before.processes, after.processes),
        config=compare(old_config, new_config),
    )


def _compare_processes(old: tuple[ProcessType, ...], new: tuple[ProcessType, ...]) -> tuple[ProcessChange, ...]:
    """Those that differ, in the order of the new release; then those that are gone."""
    names = dict.fromkeys(process.name for process in (*new, *old))
    changes = (ProcessChange(name, find_process_type(old, name), find_process_type(new, name)) for name in names)
    return tuple(change for change in changes if change.old != change.new)
