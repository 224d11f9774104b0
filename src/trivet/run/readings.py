"""Readings of what processes use and what comes in at the front door; two of them, compared, are a load."""

import time
from collections.abc import Iterable, Mapping

from trivet.host.cgroups import find_groups
from trivet.host.clock import now
from trivet.host.usage import usage_of
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.load import DeployLoad, Load, ProcessLoad, Usage
from trivet.model.names import Deploy
from trivet.model.run import ProcessStatus
from trivet.run.door.counts import BackendCounts, DeployCounts, DoorCounts, ask_counts


@frozen
class Reading:
    """One moment. `usage` by pid; `door` is None if there is none."""

    at: str
    taken_s: float
    processes: tuple[ProcessStatus, ...]
    usage: Mapping[int, Usage]
    door: DoorCounts | None


def take_reading(home: Home, processes: tuple[ProcessStatus, ...]) -> Reading:
    """What these processes have used, and what the door has counted, until now."""
    return Reading(now(), time.monotonic(), processes, measure(home, processes), ask_counts(home))


def measure(home: Home, processes: Iterable[ProcessStatus]) -> Mapping[int, Usage]:
    """What each of these processes has used with all that it has started, by pid."""
    pids = [each.pid for each in processes if each.pid is not None]
    return usage_of(pids, find_groups(home.root, pids))


def compare(before: Reading, after: Reading) -> Load:
    """The load between the two. What was not there before has used and counted all that it has since."""
    over_s = max(after.taken_s - before.taken_s, 0.001)
    deploys = dict.fromkeys(each.deploy for each in after.processes)
    return Load(
        after.at,
        round(over_s, 3),
        tuple(each for each in (_deploy(deploy, before, after, over_s) for deploy in deploys) if each is not None),
        tuple(_process(status, before, after, over_s) for status in after.processes),
    )


def _deploy(deploy: Deploy, before: Reading, after: Reading, over_s: float) -> DeployLoad | None:
    counts, earlier = _counts(after, deploy), _counts(before, deploy)
    if counts is None:
        return None
    rate = _rate(earlier.requests if earlier else 0, counts.requests, over_s)
    return DeployLoad(deploy, counts.connections, rate, counts.in_flight, counts.held, counts.refused)


def _process(status: ProcessStatus, before: Reading, after: Reading, over_s: float) -> ProcessLoad:
    usage = after.usage.get(status.pid) if status.pid is not None else None
    earlier = _earlier(status.pid, usage, before) if usage is not None and status.pid is not None else Usage()
    backend, known = _backend(status, after), _backend(status, before)
    return ProcessLoad(
        status,
        round(max(usage.cpu_s - earlier.cpu_s, 0.0) / over_s * 100, 1) if usage is not None else None,
        usage.memory_bytes if usage is not None else None,
        _rate(known.requests if known else 0, backend.requests, over_s) if backend else None,
        backend.in_flight if backend else None,
    )


def _earlier(pid: int, usage: Usage, before: Reading) -> Usage:
    """What the process had used; or what the one before had that was counted by the same group."""
    if pid in before.usage or not usage.counted_by:
        return before.usage.get(pid, Usage())
    return next((each for each in before.usage.values() if each.counted_by == usage.counted_by), Usage())


def _counts(reading: Reading, deploy: Deploy) -> DeployCounts | None:
    return reading.door.deploys.get(str(deploy)) if reading.door is not None else None


def _backend(status: ProcessStatus, reading: Reading) -> BackendCounts | None:
    counts = _counts(reading, status.deploy)
    wanted = (status.process, status.release, status.port)
    backends = counts.backends if counts is not None else ()
    return next((each for each in backends if (each.process, each.release, each.port) == wanted), None)


def _rate(before: int, after: int, over_s: float) -> float:
    """A second. A count that has fallen was begun anew meanwhile: by another door."""
    return round((after - before if after >= before else after) / over_s, 1)
