"""Signals to what a process leads."""

import os
import signal
import subprocess

from support.command import DEADLINE_S, eventually
from trivet.host import processes


def test_a_process_that_does_not_lead_its_group_yet_has_the_signal_itself() -> None:
    """As one that was born a moment ago, and has not made its session so far."""
    with subprocess.Popen(("sleep", "600")) as process:
        pidfd = os.pidfd_open(process.pid)
        processes.signal_leader(pidfd, process.pid, signal.SIGTERM)
        assert process.wait(DEADLINE_S) == -signal.SIGTERM
        os.close(pidfd)


def test_one_that_leads_its_group_has_it_with_all_of_them() -> None:
    argv = ("sh", "-c", "sleep 600 & echo $!; wait")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        pidfd = os.pidfd_open(process.pid)
        processes.signal_leader(pidfd, process.pid, signal.SIGTERM)
        assert process.wait(DEADLINE_S) == -signal.SIGTERM
        eventually(lambda: processes.start_time(child) is None, what="the end of its child")
        os.close(pidfd)
