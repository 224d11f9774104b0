"""Limits by control groups of version 2, whatever this machine's kernel has: under a kernel of the test's own."""

import os
import platform
import subprocess
from pathlib import Path

import pytest

from support.toolchains import needs

ROOT = Path(__file__).parents[2]
CASES = "both and not found and not rolled_out and not itself or nobody_elses"  # the others say the same, and take their time


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="user-mode Linux is x86-64's")
@needs("linux.uml", "cc", "setpriv")
def test_limits_are_enforced_by_control_groups_of_version_2() -> None:
    tests = (".venv/bin/pytest", "-q", "--color=no", "-p", "no:randomly", "-k", CASES, "tests/run/test_limits.py")
    done = subprocess.run(
        (ROOT / "scripts/on-cgroup-v2", "setpriv", "--bounding-set", "-setuid", *tests),
        env={**os.environ, "ON_TIMEOUT": "150"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n5 passed, " in done.stdout
    assert "skipped" not in done.stdout
