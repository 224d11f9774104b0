"""Two at once on one deploy: exactly one at a time, nobody waits for one that is dead, and whoever waits is told for whom."""

import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import trivet as package
from support.apps import shop
from support.command import Trivet, fetch
from support.repository import Repository
from trivet.model.build import Build
from trivet.model.config import ConfigChange
from trivet.model.document import write_document
from trivet.model.home import Home
from trivet.model.names import Deploy, parse_app_name, parse_deploy_name
from trivet.model.process import ProcessType
from trivet.model.release import Actor, Cause, Draft, State
from trivet.model.source import Source
from trivet.release import Ledger

RACER = Path(__file__).with_name("racer.py")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])}
RACES, SEED = 1000, 7
PRODUCTION = Deploy(parse_app_name("shop"), parse_deploy_name("production"))


def _draft() -> Draft:
    source = Source("c" * 40, "7" * 40, "Sell tea", "Ada <ada@example.org>", "2026-11-23T10:00:00Z", "", "/src/shop")
    build = Build(
        id="b1",
        app=PRODUCTION.app,
        source=source,
        builder="procfile",
        input_key="k" * 64,
        layers=(),
        processes=(ProcessType("web", "serve"),),
        environment={},
        tools={},
        runtime=None,
        created_at="2026-11-23T10:00:01.000Z",
        duration_s=0.1,
    )
    return Draft(PRODUCTION, build, 0, ConfigChange(), Cause.DEPLOY, "race", Actor("ada", "engine"))


@pytest.fixture
def home() -> Iterator[Home]:
    """In memory: it is the locks that are raced for, and a disk would take most of the time."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Home(Path(folder))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_thousand_races_of_two_deploys(home: Home, tmp_path: Path) -> None:
    with Ledger(home):
        (tmp_path / "draft.json").write_text(write_document(_draft()))
    argv = (sys.executable, RACER, home.root, tmp_path / "draft.json", str(RACES), str(SEED))
    done = subprocess.run(argv, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split(" ", 3) for line in (home.root / "journal").read_text().splitlines()]
    for race in range(RACES):
        _check_race([line[1:] for line in lines if line[0] == str(race)])
    did = Counter(line[2] for line in lines)
    assert did["enters"] == 2 * RACES
    assert did["waits"] > RACES // 2
    assert did["dies"] > RACES // 4
    with Ledger(home) as ledger:
        records = ledger.records(PRODUCTION)
        assert [record.release.number for record in records] == list(range(len(records), 0, -1))
        assert sum(record.outcome.state is not State.PENDING for record in records) >= did["leaves"]
        assert ledger.verify().first_bad is None


def _check_race(lines: list[list[str]]) -> None:
    """One after the other; and if one waited, it was told of the other, while that one held the lock."""
    done = [(pid, what) for pid, what, *_ in lines if what != "waits"]
    (first, _), (_, how), (second, _), (_, _) = done
    assert [what for _, what in done] == ["enters", how, "enters", "leaves"], lines
    assert how in ("leaves", "dies")
    assert len({first, second}) == 2
    assert [pid for pid, _ in done] == [first, first, second, second], lines
    told = [(pid, text) for pid, what, *rest in lines if what == "waits" for text in rest]
    assert len(told) <= 1
    for pid, text in told:
        assert pid == second
        assert re.fullmatch(
            rf"waiting for shop/production: ada@engine \(trivet race, pid {first}, since .*\) is at work on it", text
        ), lines


@pytest.mark.slow
def test_commands_that_race_and_are_killed_leave_whole_releases(trivet: Trivet, repository: Repository) -> None:
    chance = random.Random(SEED)
    repository.commit(shop("v1", settings='app = "shop"\n\n[processes.worker]\nsettle = 0.02\n'))
    trivet.ok("deploy")
    for number in range(8):
        commands = (("config", "set", f"A={number}"), ("config", "set", f"B={number}"))
        with trivet.start(*commands[0]) as one, trivet.start(*commands[1]) as other:
            if number % 2:
                with pytest.raises(subprocess.TimeoutExpired):
                    one.wait(chance.uniform(0.05, 0.25))  # the moment is the point of the test, not a wait
                one.kill()
            told = [process.communicate(timeout=400)[1] for process in (one, other)]
        assert other.returncode == 0, told
        assert number % 2 or one.returncode == 0, told
    trivet.ok("config", "set", "LAST=1")
    states = {release["release"]: release["state"] for release in trivet.ok("releases", "--json", "--all").json()}
    assert sorted(states) == list(range(1, len(states) + 1))
    assert "pending" not in states.values()
    assert fetch(trivet.url)[1] == f"v1 - v{max(states)}\n"
    trivet.ok("releases", "verify")
