"""The whole story: deployed, broken, mended, configured, rolled back, killed, brought back."""

import os
import signal

from support.apps import DIES, SETTINGS, SILENT, shop
from support.command import Trivet, eventually, fetch, own_port
from support.repository import Repository


def test_a_deploy_is_never_lost(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("v1"))
    first = trivet.ok("deploy", "--port", own_port())
    url = trivet.url
    assert first.told == f"shop/production v1 is live at {url.rstrip('/')} (ledger …)\n"
    trivet.ok("scale", "worker=1")
    assert fetch(url) == (200, "v1 - v1\n")
    before = trivet.pids()
    assert set(before) == {"web.1", "worker.1"}

    _a_build_fails(trivet, repository)
    _a_process_dies(trivet, repository)
    _a_process_never_answers(trivet, repository)
    assert trivet.pids() == before
    assert fetch(url) == (200, "v1 - v1\n")

    repository.commit(shop("v3"), "Third time lucky")
    trivet.ok("deploy")
    assert fetch(url) == (200, "v3 - v4\n")

    trivet.ok("config", "set", "GREETING=hello")
    assert fetch(url) == (200, "v3 hello v5\n")

    trivet.ok("rollback", "v1")
    assert fetch(url) == (200, "v1 - v6\n")

    _the_supervisor_is_killed(trivet, url)
    _the_machine_is_rebooted(trivet, url)
    states = {release["release"]: release["state"] for release in trivet.ok("releases", "--json").json()}
    assert states == {6: "succeeded", 5: "succeeded", 4: "succeeded", 3: "failed", 2: "failed", 1: "succeeded"}
    kept = first.out.rpartition("(ledger ")[2].removesuffix(")\n")
    verified = trivet.ok("releases", "verify", "--checkpoint", kept)
    assert verified.told.endswith(" entries, each as it was written (ledger …)\n")


def _a_build_fails(trivet: Trivet, repository: Repository) -> None:
    repository.commit({**shop("v2"), "trivet.toml": 'app = "shop"\n[build]\ncommands = ["echo no compiler; exit 7"]\n'})
    done = trivet.run("deploy")
    assert done.status == 20
    assert done.out == ""
    assert "no compiler" in done.err
    assert len(trivet.ok("releases", "--json").json()) == 1


def _a_process_dies(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("v2", web=DIES))
    done = trivet.run("deploy")
    assert done.status == 40
    assert "v2 did not come up: web.1 exited with 3" in done.err
    assert "| no database configured" in done.err
    assert "v1 still serves, untouched." in done.err


def _a_process_never_answers(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("v2", web=SILENT, settings=SETTINGS.replace("timeout = 60", "timeout = 3")))
    done = trivet.run("deploy")
    assert done.status == 40
    assert "v3 did not come up: web.1 did not answer" in done.err


def _the_supervisor_is_killed(trivet: Trivet, url: str) -> None:
    before = trivet.pids()
    os.kill(trivet.supervisor_pid, signal.SIGKILL)
    assert fetch(url)[0] == 200
    os.kill(before["worker.1"], signal.SIGKILL)
    trivet.ok("up")
    eventually(lambda: set(trivet.pids()) == {"web.1", "worker.1"}, what="the worker's restart")
    after = trivet.pids()
    assert after["web.1"] == before["web.1"]
    assert after["worker.1"] != before["worker.1"]
    assert fetch(url) == (200, "v1 - v6\n")


def _the_machine_is_rebooted(trivet: Trivet, url: str) -> None:
    doomed = [trivet.supervisor_pid, *trivet.pids().values(), trivet.door_pid]
    for pid in doomed:
        os.kill(pid, signal.SIGKILL)
    trivet.ok("up")
    eventually(lambda: set(trivet.pids()) == {"web.1", "worker.1"}, what="the reboot")
    assert fetch(url) == (200, "v1 - v6\n")
