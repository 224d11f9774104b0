"""Success is only said of what serves: the last line of a command tells what is true."""

import json
import os
import re
import signal
from pathlib import Path

import pytest

from support.apps import WORKER, shop
from support.command import Trivet, eventually, fetch, own_port
from support.repository import Repository

WORKERS = {"Procfile": "worker: python3 worker.py\n", "worker.py": WORKER, "trivet.toml": 'app = "shop"\n'}


def test_a_typo_in_a_process_types_name_touches_nothing(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("v1"))
    trivet.ok("deploy")
    before = trivet.pids()
    repository.commit(
        shop("v2", procfile="wbe: python3 server.py\nworker: python3 worker.py\n", settings='app = "shop"\n')
    )
    done = trivet.run("deploy")
    assert done.status == 40
    assert done.err.endswith(
        "error: The new release has no process type web, which shop/production runs now.\n"
        "hint:  Look for a typo in the Procfile. If it is to go: trivet scale web=0, then try again. Nothing was changed.\n"
    )
    assert trivet.pids() == before
    assert len(trivet.ok("releases", "--json").json()) == 1
    trivet.ok("scale", "web=0")
    assert trivet.ok("deploy").out.startswith("shop/production v2 is released, but nothing runs: trivet scale ")


def test_an_app_of_workers_alone_says_that_nothing_runs_yet(trivet: Trivet, repository: Repository) -> None:
    repository.commit(WORKERS)
    done = trivet.ok("deploy")
    assert done.told == "shop/production v1 is released, but nothing runs: trivet scale worker=1 (ledger …)\n"
    assert "no worker process runs yet: trivet scale worker=1 starts one" in done.err
    assert trivet.ok("scale").out == "worker=0\n"
    assert trivet.ok("scale", "worker=1").out == "worker=1\n"
    assert trivet.ok("deploy").told == "shop/production v2 is live (ledger …)\n"


def test_a_stopped_deploy_stays_stopped_and_says_so(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("v1"))
    trivet.ok("deploy")
    url = trivet.url
    trivet.ok("stop")
    assert trivet.ok("ps").err == "No processes.\nshop/production is stopped: `trivet start` runs it.\n"
    done = trivet.ok("config", "set", "GREETING=hello")
    assert done.told == "shop/production v2 is released, but the deploy is stopped: `trivet start` runs it (ledger …)\n"
    assert fetch(url)[0] == 503
    assert "stopped" in trivet.ok("apps").out
    trivet.ok("start")
    assert fetch(url) == (200, "v1 hello v2\n")


def test_what_needs_the_supervisor_starts_it_and_says_so(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("v1"))
    trivet.ok("deploy", "--port", own_port())
    with_what_ran = "run      started the supervisor, and with it 1 processes that ran before\n"
    trivet.ok("down")
    assert trivet.ok("scale", "web=2").err == f"{with_what_ran}run      scaling shop/production\n"
    _kill_supervisor(trivet)
    pids = {process["pid"] for process in trivet.ok("ps", "--json").json()}
    with_both = with_what_ran.replace("1", "2")
    assert trivet.ok("restart", "web.1").err == f"{with_both}run      restarting web.1\n"
    assert len(pids & {process["pid"] for process in trivet.ok("ps", "--json").json()}) == 1
    _kill_supervisor(trivet)
    done = trivet.ok("start")
    assert (done.out, done.err) == ("shop/production is started\n", f"{with_both}run      starting shop/production\n")
    _kill_supervisor(trivet)
    done = trivet.ok("stop")
    assert (done.out, done.err) == ("shop/production is stopped\n", "run      stopping shop/production\n")
    assert trivet.ok("ps").err == "No processes.\nshop/production is stopped: `trivet start` runs it.\n"


def test_what_is_to_be_stopped_is_not_started_first(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("v1"))
    trivet.ok("deploy", "--port", own_port())
    trivet.ok("down")
    before = len(trivet.ok("events", "--json").out.splitlines())
    trivet.ok("stop")
    told = [json.loads(line)["kind"] for line in trivet.ok("events", "--json").out.splitlines()[before:]]
    assert told == ["supervisor_up", "deploy_stopped"]


def _kill_supervisor(trivet: Trivet) -> None:
    """It is gone; what it kept runs on."""
    pid = trivet.supervisor_pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{pid}").exists(), what="the supervisor's end")


def test_a_deploy_starts_the_supervisor_and_says_so(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("v1"))
    trivet.ok("deploy", "--port", own_port())
    trivet.ok("down")
    assert "started the supervisor, and with it 1 processes that ran before" in trivet.ok("deploy").err


@pytest.mark.fetches
def test_a_build_tells_its_steps_its_size_and_what_it_reused(trivet: Trivet, repository: Repository) -> None:
    repository.commit({"Procfile": "web: python app.py\n", "app.py": "", "requirements.txt": "iniconfig==2.1.0\n"})
    first = trivet.ok("build")
    repository.commit({"app.py": "# changed\n"})
    second = trivet.ok("build")
    told = re.sub(r"[0-9a-f]{12} |\d+\.\d+ (?=s,)|[0-9a-f]{8} ", "", first.err + second.err)
    assert re.sub(r"\d+\.\d\d MB", "N MB", told) == (
        "build    exporting Change\n"
        "fetch    making a virtual environment\n"
        "fetch    fetching 1 package from requirements.txt\n"
        "compile  compiling dependencies\n"
        "compile  compiling app\n"
        "build    (python): done in s, N MB\n"
        "build    exporting Change\n"
        "build    dependencies: unchanged\n"
        "compile  compiling app\n"
        "build    (python): done in s, N MB, of that reused N MB (dependencies)\n"
    )
    assert trivet.ok("build").err == (
        f"build    {second.out.strip()} (python): found, nothing to build, {_megabytes(trivet)}\n"
    )


def _megabytes(trivet: Trivet) -> str:
    build = trivet.ok("builds", "--json").json()[0]
    return f"{sum(layer['size_bytes'] for layer in build['layers']) / 1e6:.2f} MB"


@pytest.mark.parametrize("is_up", [True, False], ids=["up", "down"])
@pytest.mark.parametrize("name", ["formation.json", "door.json", "current"])
def test_what_cannot_be_read_of_one_deploy_is_noted_and_all_others_are_shown(
    trivet: Trivet, repository: Repository, name: str, is_up: bool
) -> None:
    repository.commit(WORKERS)
    trivet.ok("deploy")
    trivet.ok("scale", "worker=1")
    trivet.ok("deploy", "-d", "staging")
    if not is_up:
        trivet.ok("down")
    path = trivet.home / "apps/shop/deploys/staging/run" / name
    path.unlink(missing_ok=True)
    path.write_text("{")
    apps = trivet.ok("apps")
    production, staging = apps.out.splitlines()[1:]
    assert production.split()[:3] == ["shop", "production", "v1"]
    assert staging.split()[:2] == ["shop", "staging"]
    assert f"shop/staging: run/{name} " in apps.err
    assert [deploy["deploy"] for deploy in trivet.ok("apps", "--json").json()] == ["production", "staging"]
    everything = trivet.ok("ps", "--all")
    assert [line.split()[:2] for line in everything.out.splitlines()[1:]] == [["shop/production", "worker.1"]] * is_up
    assert f"shop/staging: run/{name} " in everything.err


def test_a_ledger_that_cannot_be_signed_stands_in_no_releases_way_and_says_so(
    trivet: Trivet, repository: Repository
) -> None:
    repository.commit(WORKERS)
    trivet.ok("deploy")
    key = trivet.home / "keys" / "ledger.key"
    kept = key.read_text()
    key.unlink()
    done = trivet.ok("config", "set", "GREETING=hello")
    assert done.out == "shop/production v2 is released, but nothing runs: trivet scale worker=1\n"
    assert done.err.endswith(
        "note     the ledger's checkpoint could not be written. "
        f"The key that signs the ledger is gone: {key}. Restore it from a backup. To begin with a new one, move "
        f"{trivet.home / 'keys' / 'ledger.pub'} elsewhere: what was signed until now counts as signed by another key then.\n"
    )
    assert trivet.ok("config", "set", "GREETING=hello!", "--json").json()["checkpoint"] is None
    key.write_text(kept)
    done = trivet.ok("config", "set", "GREETING=hello again")
    assert done.told.endswith("(ledger …)\n")
    assert all((trivet.home / f"apps/shop/deploys/production/releases/v{n}/checkpoint").exists() for n in (1, 2, 3, 4))
    assert trivet.ok("releases", "verify").told == "15 entries, each as it was written (ledger …)\n"
