"""Tables that are drawn anew on a terminal: `ps --watch`."""

import os
import re
import signal
import termios

import pytest

from support.apps import shop
from support.command import Trivet
from support.repository import Repository
from support.terminal import Terminal

WEB_ONLY = shop("v1", procfile="web: python3 server.py\n", settings='app = "shop"\n')
SHOW_CURSOR = "\x1b[?25h"


@pytest.fixture
def deployed(trivet: Trivet, repository: Repository) -> Trivet:
    """A shop with one web process."""
    repository.commit(WEB_ONLY)
    trivet.ok("deploy")
    return trivet


def _drawn(terminal: Terminal) -> str:
    """What the terminal was shown, without what moves the cursor or colours."""
    return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", terminal.shown)


def test_the_list_of_processes_is_drawn_anew_when_something_happens(deployed: Trivet) -> None:
    pid = deployed.pids()["web.1"]
    terminal = Terminal(deployed, "ps", "--watch")
    before = terminal.mode()
    terminal.expect(f"web.1    {pid}")
    os.kill(pid, signal.SIGKILL)
    terminal.expect("SIGKILL")
    os.kill(deployed.supervisor_pid, signal.SIGKILL)
    terminal.expect("The supervisor is not running: nothing is restarted.")
    doctor = deployed.ok("doctor").out
    assert doctor.endswith(
        "weak  supervisor   not running, while 1 of the apps' processes does: nothing is restarted\n"
        "                   Start it: trivet up\n"
    )
    deployed.ok("up")
    deployed.ok("scale", "web=2")
    terminal.expect("web.2")
    terminal.type("\x03")
    assert terminal.end() == 0
    assert terminal.last_mode == before
    assert "Traceback" not in terminal.shown
    assert terminal.shown.rindex(SHOW_CURSOR) > terminal.shown.rindex("web.2")
    assert "PROCESS  PID" in _drawn(terminal)


def test_q_ends_it_too_and_the_terminal_is_as_before(deployed: Trivet) -> None:
    terminal = Terminal(deployed, "ps", "-w", "--all")
    before = terminal.mode()
    terminal.expect("shop/production")
    assert not terminal.mode()[3] & termios.ECHO  # type: ignore[operator]
    terminal.type("xq")
    assert terminal.end() == 0
    assert terminal.last_mode == before


def test_a_list_that_is_drawn_anew_needs_a_terminal(deployed: Trivet) -> None:
    hint = "hint:  `trivet events -f` tells what happens, with --json as lines of JSON.\n"
    done = deployed.run("ps", "--watch")
    assert (done.status, done.out, done.err) == (2, "", f"error: What is drawn anew needs a terminal.\n{hint}")
    done = deployed.run("ps", "--watch", "--json")
    assert (done.status, done.out, done.err) == (2, "", f"error: --watch draws a list and writes no JSON.\n{hint}")


def test_top_is_drawn_anew_over_the_whole_terminal_and_leaves_it_as_it_was(deployed: Trivet) -> None:
    terminal = Terminal(deployed, "top", "--interval", "0.1")
    before = terminal.mode()
    terminal.expect("requests/s, 0 in flight, 0 held, 0 refused")
    assert "\x1b[?1049h" in terminal.shown  # another screen
    deployed.ok("scale", "web=2")
    terminal.expect("web.2")
    terminal.type("q")
    assert terminal.end() == 0
    assert terminal.shown.rstrip("\n").endswith(("\x1b[?1049l", SHOW_CURSOR))
    assert terminal.last_mode == before
    assert "Traceback" not in terminal.shown


def test_top_without_a_terminal_shows_it_once(deployed: Trivet) -> None:
    pid = deployed.pids()["web.1"]
    lines = deployed.ok("top", "--interval", "0.1").out.splitlines()
    assert lines[0] == "shop/production: 0 connections, 0.0 requests/s, 0 in flight, 0 held, 0 refused"
    assert lines[1].split() == [
        "PROCESS",
        "PID",
        "STATE",
        "CPU",
        "MEMORY",
        "RESTARTS",
        "UP",
        "REQUESTS",
        "IN",
        "FLIGHT",
        "RELEASE",
    ]
    assert lines[2].split()[:3] == ["web.1", str(pid), "running"]
    assert len(lines) == 3
    load = deployed.ok("top", "--once", "--json", "--interval", "0.1", "--all").json()
    assert set(load) == {"at", "over_s", "deploys", "processes"}
    (deploy,), (process,) = load["deploys"], load["processes"]
    assert deploy == {
        "app": "shop",
        "deploy": "production",
        "connections": 0,
        "requests_per_s": 0.0,
        "in_flight": 0,
        "held": 0,
        "refused": 0,
    }
    assert (process["pid"], process["requests_per_s"], process["in_flight"]) == (pid, 0.0, 0)
    assert "output" not in process, "nobody has looked for it: `ps` does"
    assert process["memory_bytes"] > 1_000_000
    assert process["cpu_percent"] >= 0
    deployed.ok("down")
    done = deployed.ok("top", "--interval", "0.1")
    assert (done.out, done.err) == ("", "No processes.\n")
