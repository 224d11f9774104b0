"""Whatever goes wrong at whatever point of a flow: a whole release serves, and the next command works without help.

Here a few points of each kind are tried, spread evenly; `scripts/kill-everywhere` tries them all.
"""

from collections.abc import Iterator

import pytest

from support.points import Action, Role, can_compile
from support.trials import FLOWS, Bench, Flow
from support.world import World

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_compile(), reason="needs cc: scripts/toolchains"),
    pytest.mark.timeout(900),
]

flows = pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    world = World(tmp_path_factory.mktemp("killed"))
    yield Bench(world)
    world.close()


def _try_some(bench: Bench, flow: Flow, kind: tuple[Role, Action], count: int) -> None:
    """So many points of the kind, spread evenly; at each flow others, so that all of them together see the whole way."""
    faults = bench.faults(flow, *kind)
    share = (FLOWS.index(flow) + 1) / (len(FLOWS) + 1)
    chosen = {faults[int((index + share) * len(faults) / count)] for index in range(count)} if faults else set()
    trials = [bench.try_out(flow, fault) for fault in sorted(chosen, key=lambda fault: fault.target)]
    assert [str(trial) for trial in trials if trial.wrong] == []


def test_there_are_at_least_three_hundred_points(bench: Bench) -> None:
    counts = [len(bench.faults(flow, role, Action.KILL)) for flow in FLOWS for role in (Role.COMMAND, Role.SUPERVISOR)]
    assert sum(counts) >= 300


@flows
def test_a_killed_command_leaves_a_whole_release(bench: Bench, flow: Flow) -> None:
    _try_some(bench, flow, (Role.COMMAND, Action.KILL), 2)


@flows
def test_when_all_are_killed_at_once_the_next_command_brings_a_whole_release_back(bench: Bench, flow: Flow) -> None:
    _try_some(bench, flow, (Role.COMMAND, Action.CUT), 1)
    _try_some(bench, flow, (Role.SUPERVISOR, Action.CUT), 1)


@flows
def test_a_killed_supervisor_leaves_a_whole_release(bench: Bench, flow: Flow) -> None:
    _try_some(bench, flow, (Role.SUPERVISOR, Action.KILL), 1)


def test_a_killed_front_door_leaves_a_whole_release(bench: Bench) -> None:
    _try_some(bench, FLOWS[0], (Role.DOOR, Action.KILL), 2)


@flows
def test_on_a_disk_that_is_full_from_some_point_on_a_whole_release_serves(bench: Bench, flow: Flow) -> None:
    _try_some(bench, flow, (Role.COMMAND, Action.FULL), 1)
    _try_some(bench, flow, (Role.SUPERVISOR, Action.FULL), 1)


@flows
def test_when_the_disk_fails_to_keep_something_a_whole_release_serves(bench: Bench, flow: Flow) -> None:
    _try_some(bench, flow, (Role.COMMAND, Action.FAIL_SYNC), 1)
    _try_some(bench, flow, (Role.SUPERVISOR, Action.FAIL_SYNC), 1)


@flows
def test_an_interrupted_command_says_what_is_true(bench: Bench, flow: Flow) -> None:
    _try_some(bench, flow, (Role.COMMAND, Action.SIGNAL), 2)
