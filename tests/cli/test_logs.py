"""`trivet logs`: what processes wrote, chosen by time, release, process and text."""

import json
import os
import subprocess
import threading

import pytest

from support.command import DEADLINE_S, Trivet, eventually
from support.repository import Repository
from support.terminal import Terminal

SETTINGS = 'app = "shop"\n\n[processes.worker]\nsettle = 0.1\n'
NO_TIME = """\
error: 'yesterday' is not a time.
hint:  Write how long ago, like 30m, 2h or 3d, or when in UTC, like 2026-11-23T19:04.
"""
WORKER = """
import os, sys, time
for number in range(5):
    print(f"{os.environ['TRIVET_RELEASE']} order {number}", flush=True)
os.write(1, b"\\x1b]0;owned\\x07\\x1b[31mred\\x1b[0m \\x1b[2Jcaf\\xe9\\n")
time.sleep(600)
"""


@pytest.fixture
def deployed(trivet: Trivet, repository: Repository) -> Trivet:
    """A worker has written as v1 and as v2."""
    files = {"Procfile": "worker: python3 worker.py\n", "worker.py": WORKER, "trivet.toml": SETTINGS}
    repository.commit(files)
    trivet.ok("deploy")
    trivet.ok("scale", "worker=1")
    _written(trivet, "v1")
    trivet.ok("config", "set", "A=1")
    _written(trivet, "v2")
    return trivet


def _written(trivet: Trivet, release: str) -> None:
    eventually(lambda: "caf" in trivet.run("logs", "--release", release).out)


def _texts(trivet: Trivet, *arguments: str) -> list[str]:
    return [line.partition("|")[2].strip() for line in trivet.ok("logs", *arguments).out.splitlines()]


def test_lines_are_chosen_by_time_release_and_text_or_it_is_said_why_not(deployed: Trivet) -> None:
    assert [text for text in _texts(deployed) if "order" in text] == [
        *(f"v1 order {number}" for number in range(5)),
        *(f"v2 order {number}" for number in range(5)),
    ]
    assert _texts(deployed, "--grep", "order 3") == ["v1 order 3", "v2 order 3"]
    assert _texts(deployed, "--grep", "order 3", "--release", "v2", "--ps", "worker.1") == ["v2 order 3"]
    assert _texts(deployed, "--since", "10m", "--grep", "order", "-n", "1") == ["v2 order 4"]
    assert _texts(deployed, "--since", "2199-01-01") == []
    assert _texts(deployed, "--until", "2019-01-01") == []
    assert len(_texts(deployed, "--since", "2019-01-01", "--until", "2199-01-01")) == 12

    (told,) = map(json.loads, deployed.ok("logs", "--json", "--release", "2", "--grep", "order 4").out.splitlines())
    assert told.pop("at").endswith("Z")
    assert told == {"process": "worker.1", "release": 2, "text": "v2 order 4"}

    for arguments, status, err in (
        (
            ("--since", "yesterday"),
            2,
            NO_TIME,
        ),
        (
            ("-f", "--until", "2h"),
            2,
            "error: --until would end what -f goes on with.\nhint:  Leave out one of the two.\n",
        ),
        (
            ("--release", "v9"),
            30,
            "error: shop/production has no logs of v9.\nhint:  It has those of: v1, v2.\n",
        ),
    ):
        done = deployed.run("logs", *arguments)
        assert (done.status, done.out, done.err) == (status, "", err)


def test_nothing_commands_the_terminal_and_a_reader_may_go_away(deployed: Trivet) -> None:
    assert _texts(deployed, "--release", "v1")[-1] == "red caf\ufffd"
    terminal = Terminal(deployed, "logs", "--release", "v1")
    assert terminal.end() == 0
    assert "\x1b[31mred\x1b[0m caf\ufffd" in terminal.shown
    assert "owned" not in terminal.shown
    assert "\x1b[2J" not in terminal.shown
    log = deployed.home / "apps/shop/deploys/production/run/logs/v2.worker.1.log"
    with log.open("ab") as file:
        file.write(b"more\n" * 50_000)
    with (
        deployed.start("logs", "-n", "100000") as command,
        subprocess.Popen(("head", "-1"), stdin=command.stdout, stdout=subprocess.DEVNULL),
    ):
        assert command.stdout is not None
        command.stdout.close()
        assert command.stderr is not None
        assert command.stderr.read() == ""


def test_logs_are_followed_across_releases(deployed: Trivet) -> None:
    seen: list[str] = []
    with deployed.start("logs", "-f", "--since", "10m", "--grep", "order 4") as command:
        assert command.stdout is not None
        reader = threading.Thread(target=lambda: seen.extend(iter(command.stdout.readline, "")))  # type: ignore[union-attr]
        reader.start()
        eventually(lambda: len(seen) == 2)
        deployed.ok("config", "set", "A=2")
        eventually(lambda: len(seen) == 3)
        command.terminate()
        reader.join(DEADLINE_S)
    assert [line.partition("|")[2].strip() for line in seen] == ["v1 order 4", "v2 order 4", "v3 order 4"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system; CI runs as root")
def test_the_doctor_says_how_much_of_the_logs_is_kept(trivet: Trivet) -> None:
    trivet.home.mkdir()
    trivet.environment["TRIVET_LOG_LIMITS"] = "size=10M age=2w"
    assert "kept: 10.0 MB of each process, 1.0 GB of a deploy, 14 days" in trivet.ok("doctor").out
    subprocess.run(("mount", "-t", "ramfs", "ramfs", trivet.home), check=True)
    try:
        told = trivet.run("doctor").out
    finally:
        subprocess.run(("umount", trivet.home), check=True)
    assert (
        f"the file system of {trivet.home} cannot give back a part of a file: a log grows until its release is" in told
    )
    assert "ext4, XFS, btrfs and tmpfs can do that." in told


def test_limits_that_cannot_be_read_start_nothing(trivet: Trivet) -> None:
    trivet.environment["TRIVET_LOG_LIMITS"] = "size=lots"
    done = trivet.run("up")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "error: TRIVET_LOG_LIMITS has 'size=lots', which is no limit.\n"
        "hint:  Write for example TRIVET_LOG_LIMITS='size=50M total=1G age=30d'.\n"
    )
