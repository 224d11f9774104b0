"""What the doctor says of who apps are, as a person reads it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from support.command import Trivet
from trivet.host.sandbox import Sandbox

_READS = "reads the system and its own alone"
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="apps are users of their own where Trivet is root; CI runs as root"),
    pytest.mark.skipif(not Sandbox().sealing.is_there, reason="this kernel has no Landlock"),
]


def _told(out: str) -> list[str]:
    """The lines on apps."""
    lines = out.splitlines()
    (at,) = (number for number, line in enumerate(lines) if line.split()[1:2] == ["apps"])
    return [" ".join(line.split()) for line in lines[at : at + 2]]


def test_where_the_home_can_be_reached_an_app_is_a_user_of_its_own(trivet: Trivet) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        trivet.environment["TRIVET_HOME"] = f"{folder}/home"
        assert _told(trivet.run("doctor").out)[0] == f"ok apps each is a user of its own, and {_READS}"


def test_where_a_folder_is_closed_it_is_named_with_what_to_do(trivet: Trivet) -> None:
    trivet.home.parent.chmod(0o700)
    assert _told(trivet.run("doctor").out) == [
        f"weak apps each is a user of its own, with the power to pass {trivet.home.parent}, which is closed to others",
        "Move TRIVET_HOME, for example to /var/lib/trivet, or let others pass: chmod o+x.",
    ]


def test_a_root_that_can_make_nobody_else_says_so(trivet: Trivet) -> None:
    argv = ("setpriv", "--bounding-set=-setuid", sys.executable, "-m", "trivet", "doctor")
    out = subprocess.run(argv, env=trivet.environment, cwd="/", capture_output=True, text=True, check=False).stdout
    assert _told(out) == [
        f"weak apps run as root, which here can make no other user of a process; each {_READS}",
        "Give the container more users, and the capabilities CHOWN, SETGID and SETUID.",
    ]


def test_a_home_too_deep_for_unix_sockets_is_told(trivet: Trivet) -> None:
    deep = trivet.home.parent / ("x" * 80)
    trivet.environment["TRIVET_HOME"] = str(deep)
    lines = [" ".join(line.split()) for line in trivet.run("doctor").out.splitlines()]
    at = next(number for number, line in enumerate(lines) if line.split()[1:2] == ["home"])
    assert lines[at : at + 2] == [
        f"weak home {deep}, not made yet: its path is too long for Unix sockets, so that `web` processes get no TRIVET_SOCKET",
        "They can listen on $PORT; or choose a shorter TRIVET_HOME.",
    ]
