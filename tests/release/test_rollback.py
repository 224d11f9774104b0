"""Which release a rollback goes back to."""

from collections.abc import Callable

import pytest

from trivet.errors import NotARollbackTarget
from trivet.model.build import Build
from trivet.model.release import Record, State
from trivet.release import choose_rollback_target

MakeRecord = Callable[..., Record]

GOOD, BAD, PENDING = State.SUCCEEDED, State.FAILED, State.PENDING


def _newest_first(record: MakeRecord, *states: State) -> tuple[Record, ...]:
    return tuple(record(number, state) for number, state in enumerate(states, start=1))[::-1]


@pytest.mark.parametrize(
    ("states", "target"),
    [
        ((GOOD, GOOD), 1),
        ((GOOD, GOOD, GOOD), 2),
        ((GOOD, BAD, GOOD), 1),
        ((GOOD, GOOD, BAD), 1),
        ((GOOD, GOOD, BAD, PENDING), 1),
        ((GOOD, BAD, PENDING, GOOD, BAD), 1),
    ],
)
def test_the_default_is_the_good_release_before_the_running_one(
    record: MakeRecord, states: tuple[State, ...], target: int
) -> None:
    assert choose_rollback_target(_newest_first(record, *states), None).release.number == target


def test_by_default_releases_that_equal_the_running_one_are_passed_over(
    record: MakeRecord, build: Callable[..., Build]
) -> None:
    same = build("b9")
    records = (record(3, GOOD, same), record(2, GOOD, same), record(1))
    assert choose_rollback_target(records, None).release.number == 1
    with_other_config = (record(3, GOOD, same, 2), record(2, GOOD, same, 1), record(1))
    assert choose_rollback_target(with_other_config, None).release.number == 2


def _history(record: MakeRecord, build: Callable[..., Build], *steps: str | int) -> tuple[Record, ...]:
    """Good releases, newest first: of the build by this name, or going back to the release by this number."""
    records: list[Record] = []
    for number, step in enumerate(steps, start=1):
        made = records[step - 1].release.build if isinstance(step, int) else build(step)
        records.append(record(number, GOOD, made, back_to=step if isinstance(step, int) else None))
    return tuple(records)[::-1]


@pytest.mark.parametrize(
    ("steps", "target"),
    [
        (("tea", "coffee", "bad", 2), 1),
        (("tea", "coffee", "coffee", "bad", 3), 1),
        (("tea", "coffee", "bad", "worse", 3, 2), 1),
        (("tea", "coffee", "milk", "bad", 3, 5, 6), 2),
        (("tea", "bad", 1, "milk"), 3),
        (("tea", "milk", "bad", 2, "worse", 4), 1),
    ],
)
def test_a_second_rollback_goes_further_back(
    record: MakeRecord, build: Callable[..., Build], steps: tuple[str | int, ...], target: int
) -> None:
    assert choose_rollback_target(_history(record, build, *steps), None).release.number == target


def test_a_rollback_to_the_very_first_release_cannot_be_rolled_back_further(
    record: MakeRecord, build: Callable[..., Build]
) -> None:
    with pytest.raises(NotARollbackTarget) as caught:
        choose_rollback_target(_history(record, build, "tea", "bad", 1, 3), None)
    assert caught.value.message == (
        "v4 runs, which is v1 again, and no good release before v1 has another build or config."
    )
    assert caught.value.hint == "Good releases: v3, v2, v1."


def test_no_more_releases_are_read_than_it_takes(record: MakeRecord) -> None:
    records = iter(_newest_first(record, *([GOOD] * 9)))
    assert choose_rollback_target(records, None).release.number == 8
    assert next(records).release.number == 7
    assert choose_rollback_target(iter(_newest_first(record, *([GOOD] * 9))), 5).release.number == 5


def test_a_number_names_any_good_release_but_the_running_one(record: MakeRecord) -> None:
    records = _newest_first(record, GOOD, GOOD, GOOD)
    assert [choose_rollback_target(records, number).release.number for number in (1, 2)] == [1, 2]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (9, "There is no release v9."),
        (5, "v5 is the running release."),
        (3, "v3 failed, so it cannot be rolled back to."),
        (6, "v6 is not finished, so it cannot be rolled back to."),
    ],
)
def test_what_cannot_be_rolled_back_to_is_told_what_can(record: MakeRecord, number: int, message: str) -> None:
    records = _newest_first(record, GOOD, GOOD, BAD, GOOD, GOOD, PENDING)
    with pytest.raises(NotARollbackTarget) as caught:
        choose_rollback_target(records, number)
    assert (caught.value.message, caught.value.hint) == (message, "Good releases: v4, v2, v1.")


def test_at_most_ten_good_releases_are_listed(record: MakeRecord) -> None:
    with pytest.raises(NotARollbackTarget) as caught:
        choose_rollback_target(_newest_first(record, *([GOOD] * 13)), 99)
    assert caught.value.hint == "Good releases: v12, v11, v10, v9, v8, v7, v6, v5, v4, v3 and 2 older."


def test_without_a_good_release_there_is_nothing_to_roll_back_to(record: MakeRecord) -> None:
    with pytest.raises(NotARollbackTarget) as caught:
        choose_rollback_target(_newest_first(record, BAD, PENDING), None)
    assert caught.value.message == "There is no good release yet, so nothing to roll back to."
    assert caught.value.hint == "`trivet deploy` makes a release."
    with pytest.raises(NotARollbackTarget) as caught:
        choose_rollback_target((), 1)
    assert caught.value.message == "There is no release v1."
    assert caught.value.hint == "There is no good release to roll back to yet."


def test_the_only_good_release_cannot_be_rolled_back(record: MakeRecord) -> None:
    with pytest.raises(NotARollbackTarget) as caught:
        choose_rollback_target(_newest_first(record, BAD, GOOD, BAD), None)
    assert caught.value.message == "v2 runs, and no good release before it has another build or config."
    assert caught.value.hint == "There is no good release to roll back to yet."
