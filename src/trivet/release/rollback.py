"""Which release a rollback goes back to."""

from collections.abc import Iterable, Sequence

from trivet.errors import NotARollbackTarget
from trivet.model.release import Record, State

_LISTED = 10


def choose_rollback_target(records: Sequence[Record], number: int | None) -> Record:
    """The release to go back to: the one by this number, or by default the good one before the running one.

    The running one is the newest good release. By default, releases with the same build and config as it are passed
    over: going back to them would change nothing. As on Heroku, a second rollback without a number undoes the first.
    Raises: NotARollbackTarget.
    """
    newest_first = sorted(records, key=lambda record: record.release.number, reverse=True)
    good = [record for record in newest_first if record.is_good]
    current = good[0] if good else None
    if number is not None:
        return _named(newest_first, number, current)
    if current is None:
        raise NotARollbackTarget(
            "There is no good release yet, so nothing to roll back to.", hint="`trivet deploy` makes a release."
        )
    target = next((record for record in good if _content(record) != _content(current)), None)
    if target is None:
        raise NotARollbackTarget(
            f"{current.release.name} runs, and no good release before it has another build or config.",
            hint=_good_releases(good[1:]),
        )
    return target


def _named(records: Sequence[Record], number: int, current: Record | None) -> Record:
    record = next((record for record in records if record.release.number == number), None)
    if record is None:
        why = f"There is no release v{number}."
    elif record is current:
        why = f"v{number} is the running release."
    elif record.outcome.state is State.FAILED:
        why = f"v{number} failed, so it cannot be rolled back to."
    elif record.outcome.state is State.PENDING:
        why = f"v{number} is not finished, so it cannot be rolled back to."
    else:
        return record
    raise NotARollbackTarget(
        why, hint=_good_releases(other for other in records if other.is_good and other is not current)
    )


def _content(record: Record) -> tuple[str, int]:
    return record.release.build.id, record.release.config_version


def _good_releases(records: Iterable[Record]) -> str:
    names = [record.release.name for record in records]
    if not names:
        return "There is no good release to roll back to yet."
    more = f" and {len(names) - _LISTED} older" if len(names) > _LISTED else ""
    return f"Good releases: {', '.join(names[:_LISTED])}{more}."
