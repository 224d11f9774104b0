"""`trivet schedule`: what runs at times, what ran, and a run now."""

import re

from support.apps import shop
from support.command import Trivet, eventually
from support.repository import Repository

REPORT = r"printf 'repor\033]0;owned\007ting\n'; exit 4"  # what it writes would give a terminal another title
WEB = f"web: python3 server.py\nreport: {REPORT}\n"
SETTINGS = """app = "shop"
[schedule]
time_zone = "Europe/Zurich"
[schedule.nightly]
cron = "30 3 * * *"
command = "echo cleaned $TRIVET_RELEASE"
[schedule.weekly]
cron = "@weekly"
time_zone = "UTC"
process = "report"
"""
LATER = SETTINGS.replace("30 3 * * *", "15 4 * * *")


def _plain(text: str) -> list[str]:
    """Lines with their times taken out, columns told apart by one bar."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)
    text = re.sub(r"\d+\.\d s", "N s", text)
    text = re.sub(r"by \S+@\S+", "by ada@desk", text)
    return [re.sub(r" {2,}", " | ", line) for line in text.splitlines()]


def test_a_schedule_is_listed_run_and_told_and_goes_back_with_a_rollback(
    trivet: Trivet, repository: Repository
) -> None:
    repository.commit(shop("v1", procfile=WEB, settings=SETTINGS))
    trivet.ok("deploy")
    heading = "NAME | WHEN | TIME ZONE | NEXT | LAST | OUTCOME"
    assert _plain(trivet.ok("schedule").out) == [
        heading,
        "nightly | 30 3 * * * | Europe/Zurich | TIME | - | -",
        "weekly | @weekly | UTC | TIME | - | -",
    ]
    good = trivet.ok("schedule", "run", "nightly")
    assert (_plain(good.out), good.err) == (["nightly.1 succeeded after N s"], "nightly.1 of v1 runs\n")
    bad = trivet.run("schedule", "run", "weekly")
    assert bad.status == 1
    assert _plain(bad.out) == ["weekly.1 failed: exited with 4 after N s"]
    assert bad.err == "weekly.1 of v1 runs\n  reporting\n"
    assert _plain(trivet.ok("schedule").out)[1:] == [
        "nightly | 30 3 * * * | Europe/Zurich | TIME | TIME | succeeded",
        "weekly | @weekly | UTC | TIME | TIME | failed: exited with 4",
    ]
    assert _plain(trivet.ok("schedule", "runs").out) == [
        "PLANNED | BEGAN | TOOK | RELEASE | PROCESS | OUTCOME",
        "by ada@desk | TIME | N s | v1 | nightly.1 | succeeded",
        "by ada@desk | TIME | N s | v1 | weekly.1 | failed: exited with 4",
    ]
    assert "cleaned v1" in trivet.ok("logs", "--ps", "nightly").out

    repository.commit(shop("v2", procfile=WEB, settings=LATER))
    trivet.ok("deploy")
    assert [each["cron"] for each in trivet.ok("schedule", "--json").json()] == ["15 4 * * *", "@weekly"]
    trivet.ok("rollback", "v1")
    (nightly, weekly) = trivet.ok("schedule", "--json").json()
    assert (nightly["cron"], nightly["release"], nightly["last"]["outcome"]) == ("30 3 * * *", 3, "succeeded")
    assert (weekly["command"], weekly["why_not"]) == (REPORT, None)
    (ran,) = trivet.ok("schedule", "runs", "weekly", "--json").json()
    assert (ran["how"], ran["output"], ran["planned"]) == ("exited with 4", ["repor\x1b]0;owned\ating"], None)

    for asked in ("run", "runs"):
        unknown = trivet.run("schedule", asked, "hourly")
        assert (unknown.status, unknown.out, unknown.err) == (
            40,
            "",
            "error: shop/production schedules no 'hourly'.\nhint:  It schedules: nightly, weekly.\n",
        )
    trivet.ok("stop")
    assert _plain(trivet.ok("schedule").out)[1].startswith("nightly | 30 3 * * * | Europe/Zurich | - (stopped) | ")


def test_a_run_is_none_of_the_processes_that_an_app_is_counted_by(trivet: Trivet, repository: Repository) -> None:
    settings = 'app = "shop"\n[schedule.long]\ncron = "@yearly"\ncommand = "exec sleep 600"\n'
    repository.commit(shop("v1", procfile=WEB, settings=settings))
    trivet.ok("deploy")
    with trivet.start("schedule", "run", "long"):
        try:
            eventually(lambda: set(trivet.pids()) == {"web.1", "long.1"}, what="the run's start")
            (app,) = trivet.ok("apps", "--json").json()
        finally:
            trivet.ok("stop")
    assert (app["running"], app["wanted"]) == (1, 1)
    repository.commit(shop("v2", procfile=WEB, settings='app = "shop"\n'))
    trivet.ok("deploy")
    assert len(trivet.ok("schedule", "runs", "long", "--json").json()) == 1, "what ran once is known for ever"


def test_a_schedule_that_does_not_fit_the_app_stops_the_deploy_with_its_line(
    trivet: Trivet, repository: Repository
) -> None:
    settings = 'app = "shop"\n[schedule.report]\ncron = "@daily"\ncommand = "x"\n'
    repository.commit(shop("v1", procfile=WEB, settings=settings))
    refused = trivet.run("deploy")
    assert refused.status == 2
    assert refused.err.endswith(
        "error: trivet.toml:2: 'report' is a process type of the app.\n"
        "hint:  Give it another name, like [schedule.run-report].\n"
    )
    settings = 'app = "shop"\n[schedule.nightly]\ncron = "@daily"\nprocess = "reprt"\n'
    repository.commit(shop("v1", procfile=WEB, settings=settings))
    refused = trivet.run("deploy")
    assert refused.err.endswith(
        "error: trivet.toml:4: the app has no process type 'reprt'.\nhint:  Did you mean 'report'?\n"
    )
