"""Many at once, and some of them killed: numbers stay unique and without gaps, and the chain whole."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import trivet
from trivet.errors import Busy
from trivet.model.config import Config
from trivet.model.document import write_document
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.release import Draft, Outcome, State
from trivet.release import ConfigStore, Ledger

APPENDER = Path(__file__).with_name("appender.py")
OPENER = Path(__file__).with_name("opener.py")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(trivet.__file__).parent.parent)}
DEADLINE_S = 500

MakeDraft = Callable[..., Draft]
Start = Callable[[Draft, int], "subprocess.Popen[str]"]


@pytest.fixture
def start(home: Home, tmp_path: Path) -> Iterator[Start]:
    """Starts appenders that wait for a line; whichever still runs at the end is killed."""
    with ExitStack() as running:

        def run(draft: Draft, count: int) -> "subprocess.Popen[str]":
            document = tmp_path / f"{draft.deploy.name}.json"
            document.write_text(write_document(draft))
            process = subprocess.Popen(
                (sys.executable, APPENDER, home.root, document, str(count)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=ENVIRONMENT,
            )
            running.enter_context(process)
            running.callback(process.kill)
            return process

        yield run


def _begin(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


@pytest.mark.slow
def test_sixteen_processes_append_fifty_releases_each(
    home: Home, start: Start, draft: Callable[..., Draft], deploy: Deploy
) -> None:
    processes = [start(draft(reason=f"process {index}"), 50) for index in range(16)]
    for process in processes:
        _begin(process)
    printed = []
    for process in processes:
        out, errors = process.communicate(timeout=DEADLINE_S)
        assert (errors, process.returncode) == ("", 0)
        printed.append([int(line) for line in out.splitlines()])
    assert all(numbers == sorted(numbers) for numbers in printed)
    assert sorted(number for numbers in printed for number in numbers) == list(range(1, 801))
    with Ledger(home) as ledger:
        found = ledger.verify()
        assert (found.checkpoint.size, found.fault) == (800 + 800 + 799, None)  # all but the last one were superseded
        assert ledger.pending(deploy) == ()
    assert sorted(int(path.name[1:]) for path in home.releases(deploy).iterdir()) == list(range(1, 801))


def test_a_killed_append_loses_no_number_and_doubles_none(
    home: Home, start: Start, draft: Callable[..., Draft], deploy: Deploy
) -> None:
    for round_ in range(1, 21):
        before = _last(home, deploy)
        process = start(draft(), 0)
        _begin(process)
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(1 + round_ % 4)]
        process.kill()
        told += [int(line) for line in process.stdout.read().splitlines()]
        process.wait(DEADLINE_S)
        assert told == list(range(before + 1, before + 1 + len(told)))
        # One more may have been written that it could not tell of any more.
        assert _last(home, deploy) - told[-1] in (0, 1)
    with Ledger(home) as ledger:
        for record in ledger.pending(deploy):
            ledger.conclude(deploy, record.release.number, Outcome(State.FAILED, "killed"))
        last = _last(home, deploy)
        assert ledger.append(draft(), Config()).number == last + 1
        assert [record.release.number for record in ledger.records(deploy)] == list(range(last + 1, 0, -1))
        assert ledger.verify().first_bad is None


def test_many_can_make_the_database_at_the_same_moment(tmp_path: Path) -> None:
    done = subprocess.run(
        (sys.executable, OPENER, tmp_path, "30"), capture_output=True, text=True, check=False, env=ENVIRONMENT
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_two_stores_never_give_one_version_twice(home: Home, deploy: Deploy) -> None:
    with ConfigStore(home) as one, ConfigStore(home) as other:
        added = [store.add(deploy, Config({"KEY": str(n)})).version for n, store in enumerate((one, other, one, other))]
    assert added == [1, 2, 3, 4]


def _last(home: Home, deploy: Deploy) -> int:
    with Ledger(home) as ledger:
        newest = ledger.records(deploy, limit=1)
    return newest[0].release.number if newest else 0


def test_a_number_that_was_taken_while_its_release_was_signed_is_not_given_twice(
    ledger: Ledger, draft: MakeDraft
) -> None:
    """Whoever signs may take their time: nobody waits for them."""

    def dawdle(content: bytes) -> bytes:
        ledger.append(draft(reason="quicker"), Config())
        return content

    with pytest.raises(Busy, match="Somebody else released v1 of shop/production while this one was being signed"):
        ledger.append(draft(reason="slow"), Config(), dawdle)
    (record,) = ledger.records(draft().deploy)
    assert record.release.reason == "quicker"
    assert ledger.append(draft(), Config(), lambda content: content).number == 2
    assert ledger.verify().fault is None
