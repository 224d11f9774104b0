"""`trivet log`: the story of an app across its deploys, from what the three stages have on record."""

import getpass
import json
import os
import platform
import re
import signal

import pytest

from support.apps import DIES, shop
from support.command import Trivet, eventually
from support.repository import Repository

WHO = f"{getpass.getuser()}@{platform.node() or 'localhost'}"
WEB_ONLY = shop("v1", procfile="web: python3 server.py\n", settings='app = "shop"\n')


def _told(text: str) -> list[str]:
    """Lines without what differs each time, columns told apart by one bar."""
    text = text.replace(WHO, "ada@desk")
    for pattern, word in (
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
        (r"since \d\d:\d\d:\d\dZ", "since TIME"),
        (r"\b[0-9a-f]{12}\b", "BUILD"),
        (r"\b[0-9a-f]{8}\b", "COMMIT"),
        (r"\d+\.\d (?=s\b)", "N "),
        (r"\d+(\.\d)? [kM]?B\b", "SIZE"),
    ):
        text = re.sub(pattern, word, text)
    return [re.sub(r" {2,}", " | ", line) for line in text.splitlines()]


def _crash(trivet: Trivet, name: str) -> None:
    """The process was killed, and has been started again."""
    pid = trivet.pids()[name]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: trivet.pids().get(name) not in (None, pid))


def test_the_story_of_an_app_from_its_first_build_to_its_end(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("v1"), "Open the shop")
    trivet.ok("deploy", "-d", "staging")
    trivet.ok("promote", "staging", "production")
    trivet.ok("scale", "worker=1", "-m", "the sale begins")
    _crash(trivet, "worker.1")
    _crash(trivet, "worker.1")
    repository.commit(shop("v2", web=DIES), "Break it")
    assert trivet.run("deploy").status != 0
    repository.commit({"Procfile": "web\n"}, "Mistype")
    assert trivet.run("deploy").status != 0
    repository.commit(shop("v3"), "Mend it")
    trivet.ok("deploy", "-m", "at last")
    trivet.ok("config", "set", "GREETING=hello", "-m", "be polite")
    trivet.ok("rollback", "v1", "-y", "-m", "too polite")
    trivet.ok("releases", "pin", "v1", "-m", "it is known to work")
    trivet.ok("prune")  # nothing is left to prune, so there is nothing to tell
    trivet.ok("restart", "worker.1")
    trivet.ok("stop", "-m", "maintenance")
    trivet.ok("start")
    assert _told(trivet.ok("log").out) == [
        "WHEN | DEPLOY | BY | WHAT",
        "TIME | production | ada@desk | started",
        "TIME | production | ada@desk | stopped: maintenance",
        "TIME | production | ada@desk | restarted worker.1",
        "TIME | production | ada@desk | v1 pinned: it is known to work",
        "TIME | production | ada@desk | v5 released: too polite, back to v1",
        "TIME | production | ada@desk | v4 released: be polite, config GREETING",
        "TIME | - | ada@desk | pruned 1 build: SIZE freed: prune after a deploy",
        "TIME | production | ada@desk | v3 released: at last, COMMIT Mend it",
        "TIME | - | ada@desk | build BUILD of COMMIT Mend it made in N s",
        "TIME | - | ada@desk | build of COMMIT Mistype failed: Procfile:1: there is no ':' after the name 'web'",
        "TIME | production | ada@desk | v2 failed: web.1 exited with 3 after N s (deploy COMMIT Break it)",
        "TIME | - | ada@desk | build BUILD of COMMIT Break it made in N s",
        "TIME | production | - | worker.1 of v1 crashed 2 times since TIME: was ended by SIGKILL",
        " | | working",
        "TIME | production | ada@desk | scaled worker 0 → 1: the sale begins",
        "TIME | production | ada@desk | v1 released: promote staging v1",
        "TIME | staging | ada@desk | v1 released: deploy COMMIT Open the shop",
        "TIME | - | ada@desk | build BUILD of COMMIT Open the shop made in N s",
    ]
    staging = [line.split(" | ") for line in _told(trivet.ok("log", "-d", "staging").out)]
    assert {columns[1] for columns in staging} == {"DEPLOY", "-", "staging"}
    assert len(_told(trivet.ok("log", "-n", "3").out)) == 4
    trivet.ok("apps", "destroy", "shop", "--confirm", "shop", "-m", "the end")
    told = _told(trivet.ok("log").out)
    assert told[1:3] == [
        "TIME | staging | ada@desk | destroyed: the end",
        "TIME | production | ada@desk | destroyed: the end",
    ] or told[1:3] == [
        "TIME | production | ada@desk | destroyed: the end",
        "TIME | staging | ada@desk | destroyed: the end",
    ]
    assert "TIME | production | ada@desk | v1 released: promote staging v1" in told
    assert not any("scaled" in line or "build BUILD" in line for line in told)  # those records went with the app


def test_json_is_one_object_a_line_with_the_same_fields_in_each(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("v1"))
    trivet.ok("deploy", "-d", "staging")
    trivet.ok("promote", "staging", "production")
    trivet.ok("scale", "web=2", "-m", "the sale begins")
    lines = [json.loads(line) for line in trivet.ok("log", "--json").out.splitlines()]
    assert [line["topic"] for line in lines] == ["scale", "release", "release", "build"]
    assert {frozenset(line) for line in lines} == {frozenset(lines[0])}
    scale, promoted, _, built = lines
    assert {key: scale[key] for key in ("deploy", "actor", "reason", "counts", "before", "told")} == {
        "deploy": "production",
        "actor": WHO,
        "reason": "the sale begins",
        "counts": {"web": 2},
        "before": {"web": 1},
        "told": "scaled web 1 → 2: the sale begins",
    }
    assert promoted["origin"] == {"app": "shop", "deploy": "staging", "release": 1}
    assert (promoted["build"], built["deploy"], built["failure"]) == (built["build"], None, None)


def test_an_app_that_never_got_beyond_a_failed_build_has_a_story(trivet: Trivet, repository: Repository) -> None:
    repository.commit({"Procfile": "web\n"}, "Mistype")
    trivet.run("deploy")
    assert _told(trivet.ok("log").out) == [
        "WHEN | DEPLOY | BY | WHAT",
        "TIME | - | ada@desk | build of COMMIT Mistype failed: Procfile:1: there is no ':' after the name 'web'",
    ]


def test_since_leaves_out_what_is_older_and_says_so_if_that_is_all(trivet: Trivet, repository: Repository) -> None:
    repository.commit(WEB_ONLY)
    trivet.ok("deploy")
    assert len(_told(trivet.ok("log", "--since", "1h").out)) == 3
    assert len(_told(trivet.ok("log", "--since", "2020-01-01").out)) == 3
    assert len(_told(trivet.ok("log", "--since", "1h", "-n", "1").out)) == 2
    done = trivet.ok("log", "--since", "2999-01-01T10:30")
    assert (done.out, done.err) == ("", "Nothing has happened since 2999-01-01T10:30:00Z.\n")


@pytest.mark.parametrize(
    "text", ["yesterday", "0h", "2 h", "h", "-2h", "2026-13-77", "2026-11-23T25:00", "99999999w", ""]
)
def test_a_time_that_is_none_is_told(trivet: Trivet, text: str) -> None:
    done = trivet.run("log", "--since", text)
    assert done.status == 2
    assert done.err == (
        f"error: {text!r} is not a time.\n"
        "hint:  Write how long ago, like 30m, 2h or 3d, or when in UTC, like 2026-11-23T19:04.\n"
    )


def test_an_app_or_a_deploy_that_never_was_is_told(trivet: Trivet, repository: Repository) -> None:
    nothing = "hint:  Known apps: none. The first `trivet deploy` makes one; -a APP names another.\n"
    assert trivet.run("log").err == f"error: There is no app 'shop'.\n{nothing}"
    repository.commit(WEB_ONLY)
    trivet.ok("deploy")
    assert trivet.run("log", "-d", "stagin").err == (
        "error: The app shop has no deploy 'stagin'.\n"
        "hint:  It has: production. The first `trivet deploy -d stagin` makes it.\n"
    )


def test_a_reason_that_is_a_novel_is_refused(trivet: Trivet, repository: Repository) -> None:
    repository.commit(WEB_ONLY)
    trivet.ok("deploy")
    done = trivet.run("stop", "-m", "x" * 1001)
    assert done.status == 2
    assert done.err == (
        "error: Invalid value for '-m' / '--message': at most 1000 characters, not 1001.\n"
        "hint:  `trivet stop --help` shows how, with examples.\n"
    )
    trivet.ok("stop", "-m", "\x1b[31mred\nand \udcff more")
    assert _told(trivet.ok("log", "-n", "1").out)[1].startswith("TIME | production | ada@desk | stopped: redand ")


def test_up_and_down_say_who(trivet: Trivet, repository: Repository) -> None:
    repository.commit(WEB_ONLY)
    trivet.ok("deploy")
    trivet.ok("down", "-m", "a new disk")
    assert _told(trivet.ok("log", "-n", "1").out)[1] == (
        "TIME | production | ada@desk | the supervisor was ended, with all that it ran: a new disk"
    )
    trivet.ok("up", "-m", "the disk is in")
    assert _told(trivet.ok("log", "-n", "1").out)[1] == (
        "TIME | production | ada@desk | the supervisor came up: 0 of its processes still ran, 1 started: the disk is in"
    )
