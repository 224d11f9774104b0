"""Releases of several deploys: side by side, and linked."""

import re

from support.apps import WORKER
from support.command import Trivet
from support.repository import Repository

FILES = {"Procfile": "worker: python3 worker.py\n", "worker.py": WORKER, "trivet.toml": 'app = "shop"\n'}


def _told(text: str) -> list[str]:
    """Lines without what differs each time, columns told apart by one bar."""
    for pattern, word in ((r"\b[0-9a-f]{12}\b", "BUILD"), (r"\b[0-9a-f]{8}\b", "COMMIT"), (r"\b\d+[smh]$", "AGE")):
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return [re.sub(r" {2,}", " | ", line) for line in text.splitlines()]


def _facts(text: str) -> dict[str, str]:
    return {line[:9].strip(): line[9:].strip() for line in text.splitlines()}


def _story(trivet: Trivet, repository: Repository) -> None:
    """Staging is ahead of production, which was rolled back and has a failed release; a demo runs what production had."""
    repository.commit(FILES, "Open")
    trivet.ok("deploy", "-d", "staging")
    trivet.ok("promote", "staging", "production")
    repository.commit({"worker.py": WORKER + "# 2\n"}, "Mend")
    trivet.ok("deploy", "-d", "staging")
    trivet.ok("promote", "staging", "production")
    trivet.ok("promote", "production", "demo")
    repository.commit({"worker.py": WORKER + "# 3\n"}, "Paint")
    trivet.ok("deploy", "-d", "staging")
    trivet.ok("rollback", "v1", "-y")
    repository.commit({"Procfile": "worker: python3 worker.py\nrelease: false\n"}, "Break")
    assert trivet.run("deploy").status != 0


def test_deploys_stand_side_by_side_in_the_order_of_promotion_and_are_linked(
    trivet: Trivet, repository: Repository
) -> None:
    _story(trivet, repository)
    assert _told(trivet.ok("releases", "--all-deploys").out) == [
        "COMMIT | SUBJECT | BUILD | STAGING | PRODUCTION | DEMO | AGE",
        "COMMIT | Break | BUILD | - | v4 failed | - | AGE",
        "COMMIT | Paint | BUILD | v3* | - | - | AGE",
        "COMMIT | Mend | BUILD | v2 | v2 | v1* | AGE",
        "COMMIT | Open | BUILD | v1 | v3*, v1 | - | AGE",
    ]
    # However few rows are asked for, what runs is among them.
    subjects = [line.split(" | ")[1] for line in _told(trivet.ok("releases", "--all-deploys", "-n", "1").out)]
    assert subjects == ["SUBJECT", "Break", "Paint", "Mend", "Open"]
    assert "Open" in trivet.ok("releases", "--all-deploys", "--all").out
    rows = trivet.ok("releases", "--all-deploys", "--json").json()
    assert [row["subject"] for row in rows] == ["Break", "Paint", "Mend", "Open"]
    assert list(rows[0]["deploys"]) == ["staging", "production", "demo"]
    assert rows[3]["deploys"]["production"] == [
        {"release": 3, "state": "succeeded", "running": True, "pinned": False},
        {"release": 1, "state": "superseded", "running": False, "pinned": False},
    ]
    _check_links(trivet)


def _check_links(trivet: Trivet) -> None:
    promoted = _facts(trivet.ok("releases", "show", "v2").out)
    assert promoted["from"] == "shop/staging v2"
    assert promoted["promoted"] == "to demo as v1"
    assert promoted["left by"] == "v3, a rollback to v1"
    source = _facts(trivet.ok("releases", "show", "v2", "-d", "staging").out)
    assert source["promoted"] == "to production as v2"
    back = _facts(trivet.ok("releases", "show", "v3").out)
    assert (back["from"], back["left"]) == ("shop/production v1", "v2, which ran before")
    assert _facts(trivet.ok("releases", "show", "v1").out)["back"] == "as v3"
    assert trivet.ok("releases", "show", "v2", "--json").json()["links"] == {
        "left": None,
        "promoted": [{"app": "shop", "deploy": "demo", "release": 1, "state": "succeeded"}],
        "brought_back_as": [],
        "left_by": [3],
    }


def test_one_deploy_is_named_or_all_are_shown(trivet: Trivet, repository: Repository) -> None:
    assert trivet.run("releases", "--all-deploys").err == (
        "error: There is no app 'shop'.\n"
        "hint:  Known apps: none. The first `trivet deploy` makes one; -a APP names another.\n"
    )
    done = trivet.run("releases", "--all-deploys", "-d", "staging")
    assert done.status == 2
    assert done.err == (
        "error: --all-deploys shows all deploys, and -d names one.\n"
        "hint:  Leave out one of them: trivet releases --all-deploys\n"
    )
    trivet.ok("config", "set", "KEY=value")
    done = trivet.ok("releases", "--all-deploys")
    assert (done.out, done.err) == ("", "shop has no releases yet. `trivet deploy` makes one.\n")
