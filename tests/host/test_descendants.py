"""Processes below us: what a block has started is gone after it, and nothing else is."""

import subprocess
import time
from pathlib import Path

from support.command import eventually
from trivet.host.descendants import reaping


def test_what_somebody_else_below_us_starts_meanwhile_goes_on() -> None:
    """As the supervisor does, which a command may have started before it runs the release command."""
    argv = ("sh", "-c", "read go; sleep 600 & echo $!; wait")
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as before:
        assert before.stdin is not None
        assert before.stdout is not None
        with reaping():
            before.stdin.write("\n")
            before.stdin.flush()
            theirs = Path("/proc", before.stdout.readline().strip())
            with subprocess.Popen(("sh", "-c", "setsid sleep 600 & echo $!"), stdout=subprocess.PIPE, text=True) as own:
                assert own.stdout is not None
                ours = Path("/proc", own.stdout.readline().strip())
        assert not ours.exists()
        assert (theirs / "cmdline").read_bytes() == b"sleep\x00600\x00"
        subprocess.run(("kill", theirs.name), check=True)


def test_what_becomes_ours_by_the_death_of_another_goes_on_if_it_is_older() -> None:
    """As the processes of the apps, should the supervisor be killed meanwhile."""
    argv = ("sh", "-c", "sleep 600 & echo $!; wait")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as before:
        assert before.stdout is not None
        theirs = Path("/proc", before.stdout.readline().strip())
        begun = time.clock_gettime(time.CLOCK_BOOTTIME)
        eventually(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) > begun + 0.02, what="the next tick of the clock")
        with reaping():
            before.kill()
            before.wait()
        assert (theirs / "cmdline").read_bytes() == b"sleep\x00600\x00"
        subprocess.run(("kill", theirs.name), check=True)
