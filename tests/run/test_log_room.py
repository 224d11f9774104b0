"""Logs are kept by size, age and sum. Whoever writes notices nothing, and no line is lost that was not to go."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from run.shop import Shop, wait_until
from trivet.errors import InputError
from trivet.model.home import Home
from trivet.model.logs import LogChoice
from trivet.model.names import AppName, Deploy, DeployName
from trivet.run import log_index
from trivet.run.log_keeping import Keeping, room
from trivet.run.log_limits import LogLimits, read_log_limits

DEPLOY = Deploy(AppName("shop"), DeployName("production"))
BLOCKS = 16384  # what file systems round up to, log and index
WRITES = """
import os, time
until = os.path.join(os.environ["TRIVET_STORAGE"], "until")
number = 0
while not os.path.exists(until):
    for _ in range(50):
        os.write(1, b"line %08d %s\\n" % (number, b"x" * 85))
        number += 1
    time.sleep(0.001)
os.write(1, b"last %08d\\n" % number)
time.sleep(600)
"""


def _limited(shop: Shop, monkeypatch: pytest.MonkeyPatch, limits: str) -> None:
    monkeypatch.setenv("TRIVET_LOG_LIMITS", limits)
    shop.machine.up()


def _writing(shop: Shop) -> Path:
    """A worker writes numbered lines without end; its log."""
    shop.worker(1, WRITES)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    return shop.home.run(shop.deploy) / "logs" / "v1.worker.1.log"


def _end_writing(shop: Shop, log: Path) -> None:
    (shop.home.storage(shop.deploy) / "until").touch()
    wait_until(lambda: b"last " in log.read_bytes()[-20:])


def _numbers(shop: Shop) -> list[int]:
    lines = shop.machine.logs(shop.deploy, LogChoice(processes=("worker",)), follow=False)
    return [int(line.text.split()[1]) for line in lines]


def _has_no_gap(numbers: list[int]) -> bool:
    return numbers == list(range(numbers[0], numbers[-1] + 1))


def test_a_log_keeps_to_its_size_and_loses_no_line(quiet_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = quiet_shop
    _limited(shop, monkeypatch, "size=400k")
    log = _writing(shop)
    wait_until(lambda: log.stat().st_size > 4_000_000)
    _end_writing(shop, log)
    wait_until(lambda: room(log) <= 400_000 + BLOCKS)
    numbers = _numbers(shop)
    assert _has_no_gap(numbers)
    assert numbers[-1] * 100 > 4_000_000
    assert len(numbers) > 3000


def test_a_supervisor_killed_while_it_cuts_costs_no_line(quiet_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = quiet_shop
    _limited(shop, monkeypatch, "size=100k")  # cut at almost every look
    log = _writing(shop)
    pid = shop.pids()["v1.worker.1"]
    for _ in range(6):
        size = log.stat().st_size
        wait_until(lambda size=size: log.stat().st_size > size + 200_000)  # type: ignore[misc]
        shop.kill_supervisor()
        kept = _numbers(shop)
        assert _has_no_gap(kept)
        shop.machine.up()
    _end_writing(shop, log)
    numbers = _numbers(shop)
    assert _has_no_gap(numbers)
    assert shop.pids()["v1.worker.1"] == pid
    wait_until(lambda: room(log) <= 100_000 + BLOCKS)


def _log(home: Home, release: int, kilobytes: int, ago_s: float) -> Path:
    log = home.run(DEPLOY) / "logs" / f"v{release}.web.1.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    line = b"x" * 999 + b"\n"
    log.write_bytes(line * kilobytes)
    log_index.append(log, kilobytes * 1000, time.time() - ago_s)
    os.utime(log, (time.time() - ago_s,) * 2)
    return log


def test_what_is_too_old_goes_but_for_what_somebody_may_write_to(home: Home) -> None:
    old, written, new = _log(home, 1, 50, 7200), _log(home, 2, 50, 7200), _log(home, 3, 50, 60)
    keeping = Keeping(LogLimits(age_s=3600), frozenset((written,)))
    with written.open("ab") as file:  # it is written to all the time, and what it wrote first is too old
        assert keeping.tidy(home, DEPLOY, time.time()) == (old,)
        file.write(b"late\n")
    assert not old.exists()
    assert not log_index.index_path(old).exists()
    assert written.read_bytes().lstrip(b"\0") == b"late\n"
    assert new.stat().st_size == 50_000
    assert room(new) >= 50_000


def test_all_logs_together_keep_to_the_sum_and_the_oldest_go_first(home: Home) -> None:
    logs = [_log(home, release, 200, 60) for release in (1, 2, 3, 4)]
    written = frozenset((logs[0], logs[3]))
    assert set(Keeping(LogLimits(total_bytes=700_000), written).tidy(home, DEPLOY, time.time())) == {logs[1]}
    assert Keeping(LogLimits(total_bytes=100_000), written).tidy(home, DEPLOY, time.time()) == (logs[2],)
    assert sum(map(room, (logs[0], logs[3]))) <= 100_000 + 2 * BLOCKS
    assert logs[0].read_bytes().endswith(b"x\n")


def test_a_log_of_short_lines_keeps_to_its_size_with_its_index(home: Home) -> None:
    log = _log(home, 1, 1, 60)
    with log.open("ab") as file:
        for _ in range(20_000):
            file.write(b".\n")
            log_index.append(log, file.tell())
    assert room(log) > 300_000
    for _ in range(3):
        Keeping(LogLimits(size_bytes=100_000), frozenset((log,))).tidy(home, DEPLOY, time.time())
    assert room(log) <= 100_000 + BLOCKS
    assert log.read_bytes().endswith(b".\n" * 1000)


def test_limits_are_read_or_refused() -> None:
    chosen = read_log_limits({"TRIVET_LOG_LIMITS": "size=10M, total=2G age=2w"})
    assert chosen == LogLimits(10**7, 2 * 10**9, 14 * 86400.0)
    assert read_log_limits({}) == LogLimits(50 * 10**6, 10**9, 30 * 86400.0)
    for word in ("size=0M", "size=10", "age=5", "total=-1G", "colour=red"):
        with pytest.raises(InputError) as raised:
            read_log_limits({"TRIVET_LOG_LIMITS": word})
        assert raised.value.message == f"TRIVET_LOG_LIMITS has {word!r}, which is no limit."
        assert raised.value.hint == "Write for example TRIVET_LOG_LIMITS='size=50M total=1G age=30d'."


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system; CI runs as root")
def test_where_a_file_cannot_be_cut_it_is_said_and_nothing_is_lost(
    quiet_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = quiet_shop
    readable = shop.home.opened("readable", None)
    opened = readable.read_text()
    subprocess.run(("mount", "-t", "ramfs", "ramfs", shop.home.root), check=True)
    try:
        readable.write_text(opened)
        _limited(shop, monkeypatch, "size=100k")
        log = _writing(shop)
        wait_until(lambda: log.stat().st_size > 1_000_000)
        _end_writing(shop, log)
        assert _numbers(shop)[0] == 0
        assert _has_no_gap(_numbers(shop))
        told = (shop.home.supervisor / "supervisor.log").read_text().splitlines()
        assert told == ["trivet: this file system cannot give back a part of a file: logs are not shortened"]
        shop.machine.down()
    finally:
        subprocess.run(("umount", "-l", shop.home.root), check=True)
