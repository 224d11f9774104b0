"""Twenty switches in a row under load, with the web servers that apps use: no request is lost, no bad release is seen.

`bench/switches.py` is the same at length, beside others.
"""

import random
import sys

import pytest

from support.command import Trivet
from support.load import Load, Tally
from support.loaded import APPS
from support.repository import Repository
from support.switches import Row, Switching, choose_turns
from support.toolchains import needs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROWS = {  # at length, for all of them: bench/switches.py
    "one that drops its connections": Row(10, 5, 5, kills=2, others=("config", "scale", "restart", "scale")),
    "gunicorn sync, inherited socket": Row(2, 2, 1, kills=2, others=("scale", "restart", "config")),
    "gunicorn threads, inherited socket": Row(2, 1, 1, kills=1, others=("restart",)),
}
ANSWERS = 450  # after each turn, at least: more than 20,000 in all
SEEDS = 1_000_000


@pytest.fixture
def readable(trivet: Trivet) -> Trivet:
    """`trivet` in a home whose apps may read the web servers, wherever they lie."""
    trivet.home.mkdir()
    (trivet.home / "readable").write_text(f"{sys.prefix}\n{sys.base_prefix}\n")
    trivet.environment["TRIVET_WARM"] = "0.3"
    return trivet


def _check(switching: Switching, tally: Tally) -> None:
    assert tally.failures == {}, tally.details
    assert set(tally.answers) <= switching.shown


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(*app.needs)) for name, app in APPS.items()])
def test_no_request_is_lost_over_switches_in_a_row(readable: Trivet, repository: Repository, name: str) -> None:
    seed = random.randrange(SEEDS)
    print(f"seed {seed}")  # pytest shows it with a failure
    switching = Switching(readable, repository, APPS[name], seed, ANSWERS)
    turns = choose_turns(seed, ROWS.get(name, Row()))
    with Load(switching.begin(), seed) as load:
        for turn in turns:
            switching.take(turn, load)
        tally = load.stop()
    _check(switching, tally)
    assert tally.requests >= len(turns) * ANSWERS
