"""Which release a rollback goes back to."""

from collections.abc import Callable, Iterable, Iterator

from trivet.errors import NotARollbackTarget
from trivet.model.release import Cause, Record, Release, State

_LISTED = 10

Content = Callable[[Record], object]


def _content(record: Record) -> object:
    return record.release.build.id, record.release.config_version


def choose_rollback_target(newest_first: Iterable[Record], number: int | None, content: Content = _content) -> Record:
    """The release to go back to: the one by this number, or by default the good one before the running one.

    The running one is the newest good release. By default, releases with the same build and config as it are passed
    over: going back to them would change nothing. If it is itself a rollback, the default is the good one before the
    release that it went back to, so a second rollback goes further back, not forth to what was bad.
    No more records are read than it takes. Raises: NotARollbackTarget.
    """
    records = iter(newest_first)
    return _before_running(records, content) if number is None else _named(records, number)


def _before_running(records: Iterator[Record], content: Content) -> Record:
    current = next((record for record in records if record.is_good), None)
    if current is None:
        raise NotARollbackTarget(
            "There is no good release yet, so nothing to roll back to.", hint="`trivet deploy` makes a release."
        )
    first = current.release
    passed = []
    for record in records:
        if record.release.number == _went_back_to(first):
            first = record.release
        elif record.is_good and _went_back_to(first) is None and content(record) != content(current):
            return record
        if record.is_good:
            passed.append(record)
    again = "" if first is current.release else f", which is {first.name} again"
    before = "it" if first is current.release else first.name
    raise NotARollbackTarget(
        f"{current.release.name} runs{again}, and no good release before {before} has another build or config.",
        hint=_good_releases(passed),
    )


def _went_back_to(release: Release) -> int | None:
    origin = release.origin
    if release.cause is not Cause.ROLLBACK or origin is None or origin.deploy != release.deploy:
        return None
    return origin.number


def _named(records: Iterator[Record], number: int) -> Record:
    read: list[Record] = []
    current: Record | None = None
    for record in records:
        if record.is_good and current is not None and record.release.number == number:
            return record
        current = current or (record if record.is_good else None)
        read.append(record)
    why = _refusal(next((record for record in read if record.release.number == number), None), number)
    raise NotARollbackTarget(
        why, hint=_good_releases(record for record in read if record.is_good and record is not current)
    )


def _refusal(record: Record | None, number: int) -> str:
    if record is None:
        return f"There is no release v{number}."
    if record.outcome.state is State.FAILED:
        return f"v{number} failed, so it cannot be rolled back to."
    if record.outcome.state is State.PENDING:
        return f"v{number} is not finished, so it cannot be rolled back to."
    return f"v{number} is the running release."


def _good_releases(records: Iterable[Record]) -> str:
    names = [record.release.name for record in records]
    if not names:
        return "There is no good release to roll back to yet."
    more = f" and {len(names) - _LISTED} older" if len(names) > _LISTED else ""
    return f"Good releases: {', '.join(names[:_LISTED])}{more}."
