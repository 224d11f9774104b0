"""Logs: written straight by the processes, merged by time."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from run.shop import DEADLINE_S, PYTHON, Shop, wait_until
from support.processor import wait_for_rest
from trivet.errors import UnknownProcess
from trivet.model.logs import LogChoice, LogLine
from trivet.model.process import ProcessType
from trivet.run import log_index
from trivet.run.log_files import last_lines

TICKS = """
import os, time
turns = os.path.join(os.environ["TRIVET_STORAGE"], os.environ["TRIVET_PROCESS"])
for tick in range(4):
    while not os.path.exists(f"{turns} {tick}"):
        time.sleep(0.01)
    print(f"tick {tick}", flush=True)
time.sleep(600)
"""


def _texts(lines: Iterator[LogLine]) -> list[str]:
    return [f"{line.process} {line.text}" for line in lines]


def _ticking(shop: Shop) -> None:
    """Two workers have written in turn, each line once it was on record when the one before was written."""
    kind = ProcessType("worker", f"{PYTHON} w.py", settle_s=0.1)
    shop.release(1, {"w.py": TICKS}, (kind,))
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 2})
    for tick in range(4):
        for process in ("worker.1", "worker.2"):
            (shop.home.storage(shop.deploy) / f"{process} {tick}").touch()
            wait_until(lambda process=process, tick=tick: _is_on_record(shop, process, tick + 1))  # type: ignore[misc]


MERGED = [f"worker.{process} tick {tick}" for tick in range(4) for process in (1, 2)]


def _is_on_record(shop: Shop, process: str, lines: int) -> bool:
    log = shop.home.run(shop.deploy) / "logs" / f"v1.{process}.log"
    content = log.read_bytes()
    return content.count(b"\n") == lines and _recorded(log, len(content))


def _recorded(log: Path, size: int) -> bool:
    with log_index.LogIndex(log, 0.0) as index:
        return index.at(size - 1) > 0.0


def test_lines_of_several_processes_are_merged_by_time(shop: Shop) -> None:
    _ticking(shop)
    lines = list(shop.machine.logs(shop.deploy, LogChoice(), follow=False))
    assert [f"{line.process} {line.text}" for line in lines] == MERGED
    assert [line.at for line in lines] == sorted(line.at for line in lines)
    assert {line.release for line in lines} == {1}


def test_the_last_lines_are_those_of_all_processes_together(shop: Shop) -> None:
    _ticking(shop)
    assert _texts(shop.machine.logs(shop.deploy, LogChoice(3), follow=False)) == MERGED[-3:]
    assert _texts(shop.machine.logs(shop.deploy, LogChoice(2, ("worker.2",)), follow=False)) == [
        "worker.2 tick 2",
        "worker.2 tick 3",
    ]
    assert _texts(shop.machine.logs(shop.deploy, LogChoice(None, ("worker",)), follow=False)) == MERGED
    assert _texts(shop.machine.logs(shop.deploy, LogChoice(0), follow=False)) == []


def test_logs_that_are_followed_tell_what_comes_also_of_new_releases(shop: Shop) -> None:
    for number in (1, 2):
        code = f"import time\nprint('release {number}', flush=True)\ntime.sleep(600)"
        shop.release(number, {"w.py": code}, (ProcessType("worker", f"{PYTHON} w.py", settle_s=0.1, grace_s=1.0),))
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    seen: list[str] = []

    def follow() -> None:
        for line in shop.machine.logs(shop.deploy, LogChoice(5), follow=True):
            seen.append(f"v{line.release} {line.process} {line.text}")
            if line.release == 2:
                return

    thread = threading.Thread(target=follow)
    thread.start()
    wait_until(lambda: seen)
    shop.ok(2)
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    assert seen == ["v1 worker.1 release 1", "v2 worker.1 release 2"]


def test_a_line_counts_once_its_end_is_written(shop: Shop) -> None:
    code = (
        "import os, time\nprint('whole', flush=True)\nprint('half', end='', flush=True)\n"
        "while not os.path.exists(os.environ['TRIVET_STORAGE'] + '/go'): time.sleep(0.01)\nprint(' and half', flush=True)\n"
        "time.sleep(600)"
    )
    shop.release(1, {"w.py": code}, (ProcessType("worker", f"{PYTHON} w.py", settle_s=0.1),))
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    wait_until(lambda: "half" in shop.log("v1.worker.1"))
    assert _texts(shop.machine.logs(shop.deploy, LogChoice(), follow=False)) == ["worker.1 whole"]
    following = shop.machine.logs(shop.deploy, LogChoice(1), follow=True)
    assert next(following).text == "whole"
    (shop.home.storage(shop.deploy) / "go").touch()
    assert next(following).text == "half and half"


def test_what_is_no_utf_8_is_shown_as_far_as_it_is(shop: Shop) -> None:
    code = "import os, time\nos.write(1, b'caf\\xe9 \\r\\n')\ntime.sleep(600)"
    shop.release(1, {"w.py": code}, (ProcessType("worker", f"{PYTHON} w.py", settle_s=0.1),))
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    wait_until(lambda: shop.log_bytes("v1.worker.1").endswith(b"\n"))
    assert _texts(shop.machine.logs(shop.deploy, LogChoice(), follow=False)) == ["worker.1 caf\ufffd "]


def test_an_idle_supervisor_uses_no_processor_time(shop: Shop) -> None:
    shop.release(1, {}, {"worker": "sleep 600"})
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 5})
    wait_for_rest(shop.supervisor_pid(), for_s=1.0)


def test_the_last_lines_of_a_log_are_found_however_long_it_is(shop: Shop) -> None:
    shop.home.root.mkdir(exist_ok=True)
    path = shop.home.root / "long.log"
    path.write_text("".join(f"line {number} {'x' * 500}\n" for number in range(2000)))
    assert [line.split()[1] for line in last_lines(path, 3)] == ["1997", "1998", "1999"]
    assert len(last_lines(path, 5000)) == 2000
    assert last_lines(path.with_name("none.log"), 3) == ()


def test_a_name_that_nothing_has_is_refused_with_what_there_is(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    with pytest.raises(UnknownProcess) as raised:
        shop.machine.logs(shop.deploy, LogChoice(10, ("web", "nosuch")), follow=False)
    assert raised.value.message == "shop/production has no process 'nosuch'."
    assert raised.value.hint == "Its process types: web, worker."
    for never_ran in ("worker", "worker.1"):
        assert list(shop.machine.logs(shop.deploy, LogChoice(10, (never_ran,)), follow=False)) == []


def test_any_number_of_lines_can_be_asked_for(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    wait_until(lambda: "serving" in shop.log("v1.web.1"))
    for lines in (10**20, 10**9):
        told = shop.machine.logs(shop.deploy, LogChoice(lines, ("web.1",)), follow=False)
        assert "serving" in [line.text for line in told]
