"""Whatever moment of a change of what runs the supervisor is killed at, or the power is cut: a whole release serves.

Some points are tried here, others every time; `scripts/kill-everywhere --flow switch` tries them spread evenly.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from support.points import can_compile
from support.switch_trials import CHANGES, Change, Harm, SwitchBench
from support.switched import Switched

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_compile(), reason="needs cc: scripts/toolchains"),
    pytest.mark.timeout(900),
]
CHOSEN = 4  # changes, the same ones for every harm: that the points of a change are counted takes as long as a trial


@dataclass(frozen=True, slots=True)
class Choice:
    """What is tried this time, told by its seed."""

    bench: SwitchBench
    seed: int
    changes: tuple[Change, ...]


@pytest.fixture(scope="module")
def choice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Choice]:
    world = Switched(tmp_path_factory.mktemp("switched"))
    seed = random.randrange(10**6)
    yield Choice(SwitchBench(world), seed, tuple(random.Random(seed).sample(CHANGES, CHOSEN)))
    world.close()


@pytest.mark.parametrize("harm", Harm)
def test_whenever_it_comes_one_release_serves_whole_and_the_next_command_works(choice: Choice, harm: Harm) -> None:
    chance = random.Random(f"{choice.seed} {harm}")
    bench = choice.bench
    trials = [bench.try_out(change, harm, bench.place(change, chance.random())) for change in choice.changes]
    assert [f"seed {choice.seed}: {trial}" for trial in trials if trial.wrong] == []


def test_after_a_start_that_was_killed_each_process_has_a_file_of_its_own(choice: Choice) -> None:
    """What the killed one had started leaves, and what comes after it is called otherwise: their files are not one."""
    change = next(each for each in CHANGES if (each.name, each.kind) == ("start", "alone"))
    trials = [choice.bench.try_out(change, Harm.KILL, choice.bench.place(change, share)) for share in (0.55, 0.71)]
    assert [str(trial) for trial in trials if trial.wrong] == []
