"""Whatever moment of a change of what runs the supervisor is killed at, or the power is cut: a whole release serves.

Some points are tried here, others every time; `scripts/kill-everywhere --flow switch` tries them spread evenly.
"""

import random
from collections.abc import Iterator

import pytest

from support.points import can_compile
from support.switch_trials import CHANGES, Harm, SwitchBench
from support.switched import Switched

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_compile(), reason="needs cc: scripts/toolchains"),
    pytest.mark.timeout(600),
]
TRIES = 4


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwitchBench]:
    world = Switched(tmp_path_factory.mktemp("switched"))
    yield SwitchBench(world)
    world.close()


@pytest.mark.parametrize("harm", Harm)
def test_whenever_it_comes_one_release_serves_whole_and_the_next_command_works(bench: SwitchBench, harm: Harm) -> None:
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    tries = [(change, chance.randint(1, bench.count(change))) for change in chance.sample(CHANGES, TRIES)]
    trials = [bench.try_out(change, harm, target) for change, target in tries]
    assert [f"seed {seed}: {trial}" for trial in trials if trial.wrong] == []
