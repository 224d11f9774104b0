"""Limits by control groups of version 2, and a machine without Landlock: under a kernel of the test's own."""

import os
import platform
import subprocess
from pathlib import Path

import pytest

from support.toolchains import needs

ROOT = Path(__file__).parents[2]
CASES = "both and not found and not rolled_out and not itself or nobody_elses"  # the others say the same, and take their time


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="user-mode Linux is x86-64's"),
    needs("linux.uml", "cc", "setpriv"),
]
ASKS = """
unset TRIVET_ALLOW_MUTABLE
export TRIVET_HOME=/run/home/trivet NO_COLOR=1
.venv/bin/trivet doctor
.venv/bin/trivet up
umount /sys/fs/cgroup
.venv/bin/trivet doctor
"""
WITH = (
    "ok    limits       a process ends with all that it started (control groups v2); enforced are memory (control groups v2), "
    "cpu (control groups v2), processes (control groups v2), files\n"
)
WITHOUT = (
    "weak  limits       a process ends with its group and with what it left to the supervisor; enforced are files\n"
)


def _under_uml(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        (ROOT / "scripts/on-cgroup-v2", *command),
        env={**os.environ, "ON_TIMEOUT": "500"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_limits_are_enforced_by_control_groups_of_version_2() -> None:
    tests = (".venv/bin/pytest", "-q", "--color=no", "-p", "no:randomly", "-k", CASES, "tests/run/test_limits.py")
    done = _under_uml("setpriv", "--bounding-set", "-setuid", *tests)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n5 passed, " in done.stdout
    assert "skipped" not in done.stdout


def test_a_machine_without_landlock_is_told_as_one_and_runs_nothing_unasked() -> None:
    done = _under_uml("bash", "-c", ASKS)
    assert WITH in done.stdout
    assert WITHOUT in done.stdout.split(WITH)[1]
    assert done.stdout.count("bad   sealing      none: writing to code;") == 2
    assert (
        "error: This machine's kernel cannot keep an app from changing its code: Landlock is not there.\n"
        "hint:  Use Linux 5.13 or newer (6.2 for all of it) with landlock in the boot option lsm=, or set "
        "TRIVET_ALLOW_MUTABLE=1 for `trivet up` to run without that protection. `trivet doctor` shows the level.\n"
    ) in done.stdout
