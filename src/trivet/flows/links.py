"""Links: how releases hang together, forwards and back: where one was promoted to, what brought it back, what left it."""

from collections.abc import Iterable, Iterator
from itertools import takewhile

from trivet.flows.installation import Installation
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.release import Cause, Origin, Record, Release
from trivet.release import Ledger


@frozen
class Links:
    """What a release has to do with others; where it comes from itself, its `origin` says.

    `left` is the good release that a rollback took the place of. `promoted` are the releases elsewhere that were made from
    this one, `brought_back` the rollbacks to it, `left_by` the rollbacks from it to an older one.
    """

    left: Release | None = None
    promoted: tuple[Record, ...] = ()
    brought_back: tuple[Record, ...] = ()
    left_by: tuple[Record, ...] = ()


def read_links(installation: Installation, deploy: Deploy, number: int) -> Links:
    """The links of a release. Raises: UnknownRelease."""
    with Ledger(installation.home) as ledger:
        release = ledger.record(deploy, number).release
        others = (other for other in ledger.deploys() if other.app == deploy.app and other != deploy)
        elsewhere = (record for other in others for record in _younger(ledger.walk(other), release))
        return find_links(release, tuple(_down_to_before(ledger.walk(deploy), release)), elsewhere)


def find_links(release: Release, own: tuple[Record, ...], elsewhere: Iterable[Record]) -> Links:
    """Pure. `own` are the deploy's records, newest first, at least down to the good one before the release."""
    origin = Origin(release.deploy, release.number)
    later = [record for record in own if record.release.number > release.number]
    back = [record for record in later if record.release.cause is Cause.ROLLBACK]
    before = _good_before(own, release)
    return Links(
        left=before if release.cause is Cause.ROLLBACK else None,
        promoted=tuple(record for record in elsewhere if record.release.origin == origin),
        brought_back=tuple(record for record in back if record.release.origin == origin),
        left_by=tuple(record for record in back if record.is_good and _good_before(own, record.release) == release),
    )


def _good_before(newest_first: Iterable[Record], release: Release) -> Release | None:
    return next((each.release for each in newest_first if each.is_good and each.release.number < release.number), None)


def _down_to_before(newest_first: Iterator[Record], release: Release) -> Iterator[Record]:
    for record in newest_first:
        yield record
        if record.is_good and record.release.number < release.number:
            return


def _younger(newest_first: Iterator[Record], release: Release) -> Iterator[Record]:
    """By the clock, so that the whole ledger need not be read: whatever was made from a release came after it."""
    return takewhile(lambda record: record.release.created_at >= release.created_at, newest_first)
