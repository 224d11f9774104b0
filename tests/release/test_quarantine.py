"""Which builds are in quarantine, told from the records of a deploy."""

from collections.abc import Callable

import pytest

from trivet.model.build import Build
from trivet.model.release import Record, State
from trivet.release import find_quarantines

MakeRecord = Callable[..., Record]
MakeBuild = Callable[..., Build]
FAILS = "!"


def _history(record: MakeRecord, build: MakeBuild, *steps: str | int) -> tuple[Record, ...]:
    """Releases, newest first: of the build by this name ("tea!" failed), or going back to the release by this number.

    A build's name is its commit, too, up to a dot: "tea.2" is another build of the commit of "tea".
    """
    records: list[Record] = []
    for number, step in enumerate(steps, start=1):
        if isinstance(step, int):
            made = records[step - 1].release.build
        else:
            name = step.removesuffix(FAILS)
            made = build(name, commit=name.partition(".")[0])
        state = State.FAILED if isinstance(step, str) and step.endswith(FAILS) else State.SUCCEEDED
        records.append(record(number, state, made, back_to=step if isinstance(step, int) else None))
    return tuple(records)[::-1]


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        (("tea", "coffee"), {}),
        (("tea", "coffee", 1), {"coffee": 3}),
        (("tea", "coffee", "bad", 2), {"bad": 4}),
        (("tea", "coffee", "bad", 2, 1), {"bad": 4, "coffee": 5}),
        (("tea", "coffee", 1, "milk"), {"coffee": 3}),
        (("tea", "coffee", 1, "coffee"), {}),
        (("tea", "coffee", 1, "coffee!"), {"coffee": 3}),
        (("tea", "coffee", 1, "coffee", 1), {"coffee": 5}),
        (("tea", "tea", 1), {}),
        (("tea", "coffee!", 1), {}),
    ],
    ids=str,
)
def test_what_a_rollback_left_is_in_quarantine_until_it_serves_again(
    record: MakeRecord, build: MakeBuild, steps: tuple[str | int, ...], left: dict[str, int]
) -> None:
    found = find_quarantines(_history(record, build, *steps))
    assert {each.left.build.id: each.rollback.number for each in found} == left


def test_a_rollback_that_undoes_a_rollback_takes_the_build_out_and_leaves_none_there(
    record: MakeRecord, build: MakeBuild
) -> None:
    assert find_quarantines(_history(record, build, "tea", "coffee", 1, 2)) == ()
    assert find_quarantines(_history(record, build, "tea", "coffee", 1, "tea", 2)) == ()


def test_all_builds_of_the_commit_are_meant(record: MakeRecord, build: MakeBuild) -> None:
    (found,) = find_quarantines(_history(record, build, "tea", "coffee", 1))
    assert found.covers(None, build(commit="coffee").source)
    assert found.covers("coffee.2", build(commit="coffee").source)
    assert not found.covers(None, build(commit="milk").source)


def test_if_the_rollback_went_to_another_build_of_the_commit_only_the_one_that_was_left_is_meant(
    record: MakeRecord, build: MakeBuild
) -> None:
    (found,) = find_quarantines(_history(record, build, "tea", "tea.2", 1))
    assert found.covers("tea.2", build(commit="tea").source)
    assert not found.covers("tea", build(commit="tea").source)
    assert not found.covers(None, build(commit="tea").source)


def test_a_release_that_failed_is_not_what_a_rollback_left(record: MakeRecord, build: MakeBuild) -> None:
    (found,) = find_quarantines(_history(record, build, "tea", "coffee", "milk!", 1))
    assert (found.left.build.id, found.left.number, found.rollback.number) == ("coffee", 2, 4)
