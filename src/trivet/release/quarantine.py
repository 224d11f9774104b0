"""Quarantine: builds that a rollback has left, which are not to be released again by mistake. Told from the records alone."""

from collections.abc import Iterable

from trivet.model.frozen import frozen
from trivet.model.release import Cause, Record, Release
from trivet.model.source import Source


@frozen
class Quarantine:
    """A build in quarantine: the release that was left, and the rollback that left it.

    `commit` says whether other builds of its commit are meant as well: not if the rollback went to one of them.
    """

    left: Release
    rollback: Release
    commit: bool

    def covers(self, build_id: str | None, source: Source) -> bool:
        """Whether the build (None: it is not made yet), made from this source, is meant."""
        if build_id == self.left.build.id:
            return True
        return self.commit and _origin(source) == _origin(self.left.build.source)


def find_quarantines(newest_first: Iterable[Record]) -> tuple[Quarantine, ...]:
    """The deploy's builds in quarantine, the one left last first.

    A rollback puts the build that it leaves there, unless both are the same (it brought back config), or the one that it
    brings back was there itself: then it undoes a rollback, and nothing was wrong with the build that stood in. Whatever
    brings a build into service again takes it out.
    """
    found: tuple[Quarantine, ...] = ()
    current: Release | None = None
    for release in (record.release for record in reversed(tuple(newest_first)) if record.is_good):
        kept = tuple(each for each in found if not each.covers(release.build.id, release.build.source))
        is_undone = len(kept) < len(found)
        if current is not None and not is_undone and _leaves(current, release):
            is_other_commit = _origin(current.build.source) != _origin(release.build.source)
            kept = (Quarantine(current, release, is_other_commit), *kept)
        found, current = kept, release
    return found


def _leaves(old: Release, new: Release) -> bool:
    return new.cause is Cause.ROLLBACK and old.build.id != new.build.id


def _origin(source: Source) -> tuple[str, str]:
    return source.commit, source.directory
