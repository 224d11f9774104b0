"""What pruning decides and removes, through the doors of the build stage."""

import os
import time

import pytest

from support.building import APP, Builder
from trivet.build import build_states, check_out, plan_pruning, prune, verify_layer
from trivet.host.files import remove_tree
from trivet.model.build import Build
from trivet.model.pruning import BuildName, BuildState, Keep, Pruned

LATER = 1e12  # nothing is as young as that


def _builds(builder: Builder, count: int) -> list[Build]:
    """Builds whose newest content takes 100 kB each, the oldest first, made a minute apart long ago."""
    made = []
    for number in range(count):
        files = {"Procfile": "web: true\n", "shared": "s" * 50_000, "data": str(number) * 100_000}
        made.append(builder.commit(files).build)
        document = builder.home.build(APP, made[-1].id) / "build.json"
        os.utime(document, (number * 60, number * 60))
    return made


def _names(*builds: Build) -> frozenset[BuildName]:
    return frozenset(BuildName(build.app, build.id) for build in builds)


def _prune(builder: Builder, keep: Keep) -> Pruned:
    told, removal = plan_pruning(builder.home, keep, thorough=True)
    prune(builder.home, removal)
    return told


def _states(builder: Builder, builds: list[Build]) -> list[BuildState]:
    states = build_states(builder.home, APP)
    return [states[build.id] for build in builds]


def _keep(ready: list[Build], released: list[Build], budget_bytes: int | None = None) -> Keep:
    newest_first = tuple(BuildName(build.app, build.id) for build in reversed(released))
    return Keep(_names(*ready), frozenset(), newest_first, budget_bytes, LATER)


def test_what_is_ready_stays_checked_out_and_what_is_stored_comes_back(builder: Builder) -> None:
    builds = _builds(builder, 3)
    _prune(builder, _keep(builds[2:], builds[1:]))
    assert _states(builder, builds) == [BuildState.PRUNED, BuildState.STORED, BuildState.READY]
    assert check_out(builder.home, builds[1])
    for build in builds[1:]:
        verify_layer(builder.home, build.layers[0])
    assert not check_out(builder.home, builds[0])


def test_each_build_is_told_what_only_it_frees(builder: Builder) -> None:
    builds = _builds(builder, 3)
    told = _prune(builder, _keep(builds[2:], builds[2:]))
    assert [(change.build.id, change.state) for change in told.changes] == [
        (build.id, BuildState.PRUNED) for build in (builds[1], builds[0])
    ]
    for change in told.changes:
        assert (
            100_000 < change.freed_bytes < 130_000
        )  # its data and its folder, not what is shared with the one that stays
    assert told.leftovers_bytes == 0
    assert len([path for path in builder.home.objects.rglob("*") if path.is_file()]) == 3


def test_within_a_budget_the_oldest_go_first(builder: Builder) -> None:
    builds = _builds(builder, 4)
    _prune(builder, _keep(builds[3:], builds, budget_bytes=300_000))
    assert _states(builder, builds) == [
        BuildState.PRUNED,
        BuildState.PRUNED,
        BuildState.STORED,
        BuildState.READY,
    ]


def test_a_budget_never_takes_what_must_stay(builder: Builder) -> None:
    builds = _builds(builder, 3)
    keep = Keep(_names(builds[2]), _names(builds[0]), (), 1, LATER)
    _prune(builder, keep)
    assert _states(builder, builds) == [BuildState.STORED, BuildState.PRUNED, BuildState.READY]


def test_what_was_made_or_found_lately_stays(builder: Builder) -> None:
    builds = _builds(builder, 2)
    builder.build(builds[0].source.commit)
    _prune(builder, Keep(frozenset(), frozenset(), (), None, time.time() - 600))
    assert _states(builder, builds) == [BuildState.STORED, BuildState.PRUNED]


def test_a_checkout_that_could_not_come_back_stays(builder: Builder) -> None:
    (build,) = _builds(builder, 1)
    remove_tree(builder.home.objects)
    _prune(builder, _keep([], [build]))
    assert _states(builder, [build]) == [BuildState.READY]
    verify_layer(builder.home, build.layers[0])


def test_what_no_build_has_any_more_goes_unless_it_is_new(builder: Builder) -> None:
    (build,) = _builds(builder, 1)
    remove_tree(builder.home.build(APP, build.id))
    young = Keep(frozenset(), frozenset(), (), None, time.time() - 600)
    assert _prune(builder, young) == Pruned()
    assert (builder.home.layers / build.layers[0].digest).is_dir()
    told = _prune(builder, Keep(frozenset(), frozenset(), (), None, LATER))
    assert told.leftovers_bytes > 150_000
    assert list(builder.home.layers.iterdir()) == []
    assert not [path for path in builder.home.objects.rglob("*") if path.is_file()]


def test_a_pruning_that_was_cut_short_is_finished_by_the_next(builder: Builder) -> None:
    builds = _builds(builder, 2)
    keep = _keep(builds[1:], builds[1:])
    _, removal = plan_pruning(builder.home, keep, thorough=True)
    first = sorted(removal.objects)[0]
    os.unlink(first)  # noqa: PTH108
    remove_tree(builder.home.layers / builds[0].layers[0].digest)
    _prune(builder, keep)
    assert _states(builder, builds) == [BuildState.PRUNED, BuildState.READY]
    assert _prune(builder, keep) == Pruned()


@pytest.mark.parametrize("thorough", [True, False])
def test_a_plan_for_nothing_is_empty(builder: Builder, thorough: bool) -> None:
    builds = _builds(builder, 1)
    told, removal = plan_pruning(builder.home, _keep(builds, builds), thorough=thorough)
    assert told == Pruned()
    assert removal.checkouts | removal.trees | removal.objects | removal.caches == frozenset()


def test_a_build_that_was_pruned_is_made_again_as_it_was(builder: Builder) -> None:
    builds = _builds(builder, 2)
    _prune(builder, _keep(builds[1:], builds[1:]))
    again = builder.build(builds[0].source.commit)
    assert (again.found, again.build.id, again.build.layers) == (False, builds[0].id, builds[0].layers)
    assert _states(builder, builds) == [BuildState.READY, BuildState.READY]
