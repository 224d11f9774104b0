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


def test_a_second_rollback_without_a_number_undoes_the_first(record: MakeRecord, build: Callable[..., Build]) -> None:
    tea, coffee = build("tea"), build("coffee")
    rolled_back = (record(3, GOOD, tea), record(2, GOOD, coffee), record(1, GOOD, tea))
    assert choose_rollback_target(rolled_back, None).release.number == 2


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
