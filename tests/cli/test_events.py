"""`trivet events`: what happens to processes, in columns and as lines of JSON, of the past and as it happens."""

import json
import os
import re
import signal
import subprocess

from support.apps import DIES, shop
from support.command import DEADLINE_S, Trivet, eventually
from support.repository import Repository
from support.terminal import Terminal

WEB_ONLY = shop("v1", procfile="web: python3 server.py\n", settings='app = "shop"\n')
KEYS = {
    "app",
    "deploy",
    "at",
    "kind",
    "release",
    "process",
    "pid",
    "how",
    "after_s",
    "counts",
    "before",
    "status",
    "signal",
    "output",
    "planned",
    "actor",
    "authority",
    "reason",
}


def _told(text: str) -> list[str]:
    """Lines without what differs each time, columns told apart by one bar."""
    for pattern, word in (
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
        (r"pid \d+", "pid N"),
        (r"after \d+\.\d s", "after N s"),
        (r"by \S+@[^\s:]+", "by ada@desk"),
    ):
        text = re.sub(pattern, word, text)
    return [re.sub(r" {2,}", " | ", line) for line in text.splitlines()]


def _crash(trivet: Trivet) -> None:
    pid = trivet.pids()["web.1"]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: trivet.pids().get("web.1") not in (None, pid))


def _read_until(process: "subprocess.Popen[str]", kind: str) -> list[dict[str, object]]:
    """The objects that the command writes, up to the first of this kind."""
    assert process.stdout is not None
    told: list[dict[str, object]] = []
    for line in process.stdout:
        told.append(json.loads(line))
        if told[-1]["kind"] == kind:
            break
    return told


def test_the_events_of_a_deploy_that_is_released_crashes_fails_and_is_scaled(
    trivet: Trivet, repository: Repository
) -> None:
    repository.commit(WEB_ONLY)
    trivet.ok("deploy")
    _crash(trivet)
    repository.commit({**WEB_ONLY, "server.py": DIES})
    assert trivet.run("deploy").status != 0
    trivet.ok("scale", "web=2", "-m", "the sale begins")
    assert _told(trivet.ok("events").out) == [
        "WHEN | DEPLOY | RELEASE | PROCESS | WHAT",
        "TIME | shop/production | v1 | web.1 | started (pid N)",
        "TIME | shop/production | v1 | web.1 | ready after N s (pid N)",
        "TIME | shop/production | v1 | - | switched",
        "TIME | shop/production | v1 | web.1 | crashed: was ended by SIGKILL after N s (pid N)",
        "TIME | shop/production | v1 | web.1 | restarted (pid N)",
        "TIME | shop/production | v2 | web.1 | started (pid N)",
        "TIME | shop/production | v2 | web.1 | failed: exited with 3 after N s (pid N)",
        "TIME | shop/production | v2 | - | roll out failed: web.1 exited with 3 after N s",
        "TIME | shop/production | v1 | web.2 | started (pid N)",
        "TIME | shop/production | v1 | web.2 | ready after N s (pid N)",
        "TIME | shop/production | v1 | - | scaled: web 1 → 2 by ada@desk: the sale begins",
    ]
    exited = [json.loads(line) for line in trivet.ok("events", "--kind", "exited", "--json").out.splitlines()]
    assert [(each["kind"], each["status"], each["signal"]) for each in exited] == [
        ("crashed", None, "SIGKILL"),
        ("failed", 3, None),
    ]
    assert set(exited[0]) == KEYS
    assert len(trivet.ok("events", "-n", "1").out.splitlines()) == 2
    assert trivet.ok("events", "-d", "production", "--since", "2000-01-01", "--kind", "ready").out.count("ready") == 2
    assert trivet.ok("events", "--all", "--kind", "lost").err == "Nothing has happened.\n"


def test_following_tells_what_happens_whatever_becomes_of_the_supervisor_and_ends_when_nobody_reads(
    trivet: Trivet, repository: Repository
) -> None:
    repository.commit(WEB_ONLY)
    trivet.ok("deploy")
    with trivet.start("events", "-f", "--json", "--all", "-n", "1") as process:
        assert [each["kind"] for each in _read_until(process, "switched")] == ["switched"]  # from here on it follows
        _crash(trivet)
        assert [each["kind"] for each in _read_until(process, "restarted")] == ["crashed", "restarted"]
        os.kill(trivet.supervisor_pid, signal.SIGKILL)
        trivet.ok("up")
        assert [each["kind"] for each in _read_until(process, "supervisor_up")] == ["adopted", "supervisor_up"]
        repository.commit({**WEB_ONLY, "trivet.toml": 'app = "other"\n'})
        trivet.ok("deploy", "-d", "staging")
        told = _read_until(process, "switched")
        assert [(each["app"], each["deploy"], each["kind"]) for each in told] == [
            ("other", "staging", kind) for kind in ("started", "ready", "switched")
        ]
        assert process.stdout is not None
        process.stdout.close()  # nothing has to happen for it to notice
        assert process.wait(DEADLINE_S) == 0


def test_following_ends_quietly_with_ctrl_c(trivet: Trivet, repository: Repository) -> None:
    repository.commit(WEB_ONLY)
    trivet.ok("deploy")
    terminal = Terminal(trivet, "events", "--follow")
    terminal.expect("switched")
    terminal.type("\x03")
    assert terminal.end() == 0
    assert "Traceback" not in terminal.shown


def test_what_cannot_be_meant_is_refused(trivet: Trivet, repository: Repository) -> None:
    repository.commit(WEB_ONLY)
    trivet.ok("deploy")
    done = trivet.run("events", "--all", "-d", "staging")
    assert (done.status, done.out, done.err) == (
        2,
        "",
        "error: --all is every app; -a and -d are one.\nhint:  Leave out one of them.\n",
    )
    done = trivet.run("events", "-d", "staging")
    assert done.status == 2
    assert done.err.startswith("error: The app shop has no deploy 'staging'.\n")
