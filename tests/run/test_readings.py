"""What processes use and what comes in at the door, between two readings."""

from dataclasses import replace

import pytest

from run.shop import Shop, kill, wait_until
from support.grounds import BOTH, NONE, supervised
from trivet.host.usage import usage_of
from trivet.model.load import Usage
from trivet.model.names import AppName, Deploy, DeployName
from trivet.model.run import ProcessState, ProcessStatus
from trivet.run.door.counts import BackendCounts, DeployCounts, DoorCounts
from trivet.run.metrics import read_metrics
from trivet.run.readings import Reading, compare, measure, take_reading

SHOP = Deploy(AppName("shop"), DeployName("production"))
WEB = ProcessStatus(SHOP, 1, "web.1", ProcessState.RUNNING, 10, 2000, "2026-11-23T00:00:00.000Z", 0, None, None)
CHILD = "while True: pass"
PARENT = f"""
import subprocess, sys
subprocess.run((sys.executable, "-S", "-c", "while sum(range(100_000)) and __import__('time').process_time() < 0.2: pass"))
kept = bytearray(b"x" * 40_000_000)
subprocess.run((sys.executable, "-S", "-c", {CHILD!r}))
"""
# The ballast is in a process that has left the session; so was the burner, which has ended, and whose parent was not ours.
STRAYS = """
import os, signal, time
def away(work):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            work()
        os._exit(0)
    os.wait()
def ballast():
    kept = bytearray(b"x" * 50_000_000)
    print("grown", flush=True)
    signal.pause()
def burn():
    while time.process_time() < 0.3: sum(range(1000))
    print("burnt", flush=True)
    os._exit(0)
away(ballast)
away(burn)
signal.pause()
"""


def _reading(taken_s: float, cpu_s: float, requests: int, pid: int = 10) -> Reading:
    counts = DeployCounts(4, requests, 1, 2, (BackendCounts("web.1", 1, 2000, requests, 3),))
    usage = {pid: Usage(cpu_s, 1000, 2)}
    return Reading("2026", taken_s, (replace(WEB, pid=pid),), usage, DoorCounts(1, {str(SHOP): counts}))


def test_a_load_is_the_difference_over_the_time_between() -> None:
    load = compare(_reading(100.0, 1.0, 10), _reading(102.0, 2.5, 50))
    (process,), (deploy,) = load.processes, load.deploys
    assert load.over_s == 2.0
    assert (process.cpu_percent, process.memory_bytes, process.requests_per_s, process.in_flight) == (
        75.0,
        1000,
        20.0,
        3,
    )
    assert (deploy.connections, deploy.requests_per_s, deploy.in_flight, deploy.held, deploy.refused) == (
        4,
        20.0,
        3,
        1,
        2,
    )


def test_what_was_not_there_before_has_used_all_of_it_since() -> None:
    before = _reading(100.0, 50.0, 10)
    (process,) = compare(before, _reading(102.0, 0.5, 12, pid=11)).processes
    assert process.cpu_percent == 25.0
    (process,) = compare(replace(before, door=None), _reading(102.0, 50.0, 12)).processes
    assert process.requests_per_s == 6.0


def test_a_count_that_was_begun_anew_is_never_less_than_nothing() -> None:
    load = compare(_reading(100.0, 50.0, 1000), _reading(102.0, 49.0, 8))
    assert load.processes[0].cpu_percent == 0.0  # a child that nobody waited for took its time along
    assert load.deploys[0].requests_per_s == 4.0


def test_without_a_process_or_a_door_nothing_is_made_up() -> None:
    after = replace(_reading(102.0, 1.0, 1), processes=(replace(WEB, pid=None),), usage={}, door=None)
    load = compare(_reading(100.0, 1.0, 1), after)
    assert load.deploys == ()
    (process,) = load.processes
    assert (process.cpu_percent, process.memory_bytes, process.requests_per_s, process.in_flight) == (None,) * 4


def test_all_that_a_process_has_started_is_counted_with_it_and_what_has_ended_too(shop: Shop) -> None:
    shop.worker(1, PARENT)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    pid = shop.processes("worker.1")[0].pid or 0
    wait_until(lambda: usage_of((pid,), {})[pid].memory_bytes > 45_000_000 and usage_of((pid,), {})[pid].processes == 2)
    first = usage_of((pid,), {})[pid]
    assert first.cpu_s >= 0.2
    wait_until(lambda: usage_of((pid,), {})[pid].cpu_s > first.cpu_s)
    kill(pid)
    wait_until(lambda: usage_of((pid,), {}) == {})


def _with_strays(shop: Shop) -> Usage:
    """What a process has used whose ballast and whose burner have left it."""
    shop.worker(1, STRAYS)
    shop.ok(1)
    shop.machine.scale(shop.deploy, {"worker": 1})
    wait_until(lambda: {"grown", "burnt"} <= set(shop.log("v1.worker.1").split()))
    (worker,) = shop.processes()
    return measure(shop.home, [worker])[worker.pid or 0]


def test_what_has_left_the_session_is_counted_where_there_are_control_groups(quiet_shop: Shop) -> None:
    with supervised(quiet_shop.home, BOTH) as machine:
        if machine.means().killing is None:
            pytest.skip("nobody here may make control groups of version 2")
        usage = _with_strays(quiet_shop)
        assert usage.memory_bytes > 50_000_000
        assert usage.cpu_s >= 0.3
        wait_until(
            lambda: measure(quiet_shop.home, quiet_shop.processes())[quiet_shop.processes()[0].pid or 0].processes == 2
        )
        assert (quiet_shop.processes()[0].memory_bytes or 0) > 50_000_000
        lines = [line for line in read_metrics(quiet_shop.home).splitlines() if not line.startswith("#")]
        told = {line.partition("{")[0]: float(line.split()[-1]) for line in lines}
        assert told["trivet_process_members"] == 2
        assert told["trivet_process_resident_memory_bytes"] > 50_000_000
        assert told["trivet_process_cpu_seconds_total"] >= 0.3
        assert told["trivet_process_open_fds"] >= 6


def test_without_control_groups_what_has_left_the_session_is_not_counted(quiet_shop: Shop) -> None:
    with supervised(quiet_shop.home, NONE):
        usage = _with_strays(quiet_shop)
    assert usage.processes == 1
    assert usage.memory_bytes < 50_000_000


def test_a_group_that_a_process_is_started_in_again_has_not_used_all_of_it_since() -> None:
    before, after = _reading(100.0, 50.0, 10), _reading(102.0, 50.5, 12, pid=11)
    in_group = [
        replace(each, usage={pid: replace(usage, counted_by=7) for pid, usage in each.usage.items()})
        for each in (before, after)
    ]
    assert compare(*in_group).processes[0].cpu_percent == 25.0


def test_requests_are_counted_for_the_deploy_and_for_the_process_that_had_them(shop: Shop) -> None:
    shop.shop(1)
    shop.ok(1)
    before = take_reading(shop.home, shop.machine.processes(shop.deploy))
    for _ in range(5):
        shop.fetch()
    load = compare(before, take_reading(shop.home, shop.machine.processes(shop.deploy)))
    (process,), (deploy,) = load.processes, load.deploys
    assert (process.requests_per_s, process.requests_per_s) == (deploy.requests_per_s,) * 2
    assert deploy.requests_per_s > 0
    assert deploy.in_flight == 0
