"""What a process spends on a processor: asked so that a loaded machine cannot answer wrongly for an idle one."""

import time
from pathlib import Path

_DEADLINE_S = 60.0


def wait_for_rest(pid: int, *, for_s: float, at_most_ns: int = 0) -> None:
    """The process has spent no more than this within some stretch so long.

    Whatever it still had to do when it was asked, it may do first: on a loaded machine nobody knows for how long. One that
    never rests, or wakes again and again, has no such stretch however long it is watched.
    """
    until = time.monotonic() + _DEADLINE_S
    before = _spent_ns(pid)
    while True:
        time.sleep(for_s)
        now = _spent_ns(pid)
        if now - before <= at_most_ns and not _wants_a_processor(pid):
            return
        assert time.monotonic() < until, f"process {pid} never rests: it spent {now - before} ns in {for_s} s"
        before = now


def _spent_ns(pid: int) -> int:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def _wants_a_processor(pid: int) -> bool:
    """It runs, or waits for its turn: what it spends meanwhile may not have been added up yet."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "R"
