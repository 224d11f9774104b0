"""`trivet deploy --watch`: a release that fails after the switch, while somebody looks, is rolled back."""

import contextlib
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from support.apps import DIES, SERVER, SETTINGS, shop
from support.command import Trivet, eventually, fetch
from support.repository import Repository

FRAGILE = (
    """
import os, threading, time
def _wait():
    while not os.path.exists(os.environ["TRIVET_STORAGE"] + "/die"):
        time.sleep(0.01)
    os.unlink(os.environ["TRIVET_STORAGE"] + "/die")
    print("the sky falls", flush=True)
    os._exit(7)
threading.Thread(target=_wait, daemon=True).start()
"""
    + SERVER
)


def _storage(trivet: Trivet) -> Path:
    return trivet.home / "apps/shop/deploys/production/storage"


class Watched:
    """A deploy that stays to watch."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.told = ""

    def await_watch(self, release: str) -> None:
        """It has said that it watches the release."""
        self.await_line(f"watching {release} for")

    def await_line(self, words: str) -> None:
        """It has said so."""
        assert self.process.stderr is not None
        while words not in self.told:
            line = self.process.stderr.readline()
            assert line, self.told
            self.told += line

    def end(self) -> tuple[int, str]:
        """Status, and what it said from then on."""
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err


@contextlib.contextmanager
def _deploying(trivet: Trivet, *arguments: str) -> Iterator[Watched]:
    with trivet.start("deploy", *arguments) as process:
        yield Watched(process)


def test_a_release_that_crashes_while_it_is_watched_is_rolled_back_as_a_new_release(
    trivet: Trivet, repository: Repository
) -> None:
    repository.commit(shop("good"))
    trivet.ok("deploy", "--watch", "0.1")
    repository.commit(shop("bad", web=FRAGILE))
    with _deploying(trivet, "--watch", "60") as deploy:
        deploy.await_watch("v2")
        assert fetch(trivet.url)[1] == "bad - v2\n"
        (_storage(trivet) / "die").touch()
        status, err = deploy.end()
    assert status == 40
    how = r"web\.1 (exited with 7|has crashed \(exit 7\))"
    assert re.search(rf"^error: v2 failed while it was watched: {how}\.$", err, re.MULTILINE)
    assert "the sky falls" in err
    assert err.endswith(
        "hint:  v3 has taken its place, which is v1 again. `trivet releases show v2` keeps what was released; "
        "mend the app or its config and try again.\n"
    )
    assert fetch(trivet.url)[1] == "good - v3\n"
    newest = trivet.ok("releases", "show", "v3", "--json").json()
    assert (newest["cause"], newest["origin"]["release"], newest["state"]) == ("rollback", 1, "succeeded")
    assert re.search(rf"v2 failed while it was watched: {how}$", newest["reason"])
    assert trivet.ok("releases", "show", "v2", "--json").json()["state"] == "succeeded"
    refused = trivet.run("deploy")
    assert "is in quarantine in shop/production: v3" in refused.err


def test_a_release_that_fails_while_the_one_before_is_kept_warm_is_told_to_have_served(
    trivet: Trivet, repository: Repository
) -> None:
    repository.commit(shop("good"))
    trivet.ok("deploy")
    trivet.environment["TRIVET_WARM"] = "60"
    repository.commit(shop("bad", web=FRAGILE))
    with _deploying(trivet) as deploy:
        deploy.await_line("watching it for 60 s")
        (_storage(trivet) / "die").touch()
        status, err = deploy.end()
    assert status == 40
    assert re.search(
        r"^error: v2 failed after it had taken over: web\.1 exited with 7 after \d+\.\d s\.$", err, re.MULTILINE
    )
    assert err.endswith(
        "hint:  v1 serves again, untouched. `trivet releases show v2` keeps this; mend the app or its config and try again.\n"
    )
    assert "v2 failed after it had taken over: web.1 exited with 7" in trivet.ok("log", "-n", "1").out
    shown = trivet.ok("releases", "show", "v2", "--json").json()
    assert {"ready", "shifted"} <= shown["timings_s"].keys()


def test_a_failed_release_that_ended_what_must_not_run_twice_does_not_call_it_untouched(
    trivet: Trivet, repository: Repository
) -> None:
    settings = SETTINGS + "overlap = false\n"
    repository.commit(shop("good", settings=settings))
    trivet.ok("deploy")
    trivet.ok("scale", "worker=2")
    before = trivet.pids()
    repository.commit({**shop("bad", settings=settings), "worker.py": DIES})
    done = trivet.run("deploy")
    assert done.status == 40
    assert done.err.endswith(
        "hint:  v1 still serves; worker.1 and worker.2 had to end, and were started again. "
        "`trivet releases show v2` keeps this; mend the app or its config and try again.\n"
    )
    assert trivet.pids()["web.1"] == before["web.1"]
    assert trivet.pids()["worker.1"] != before["worker.1"]


def test_the_first_release_has_nothing_to_go_back_to_and_says_so(trivet: Trivet, repository: Repository) -> None:
    settings = f"{SETTINGS}\n[deploys.production]\nwatch = 60\n"
    repository.commit(shop("bad", web=FRAGILE, settings=settings))
    with _deploying(trivet) as deploy:
        deploy.await_watch("v1")
        (_storage(trivet) / "die").touch()
        status, err = deploy.end()
    assert status == 40
    hint = "hint:  There is no release to go back to, so v1 still serves. Mend the app, then: trivet deploy\n"
    assert re.search(
        r"^error: v1 failed while it was watched: web\.1 (exited with 7|has crashed \(exit 7\))\.$", err, re.MULTILINE
    )
    assert err.endswith(hint)
    eventually(lambda: fetch(trivet.url)[1] == "bad - v1\n", what="its restart")


def test_a_watch_that_is_interrupted_leaves_the_release_and_says_so(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("v1"))
    with _deploying(trivet, "--watch", "60") as deploy:
        deploy.await_watch("v1")
        deploy.process.send_signal(signal.SIGINT)
        status, err = deploy.end()
    assert status == 130
    assert "error: Interrupted, but v1 had already taken over and serves now.\n" in err
    assert fetch(trivet.url)[1] == "v1 - v1\n"
    assert trivet.ok("releases", "show", "v1", "--json").json()["state"] == "succeeded"


def test_a_watch_goes_on_when_the_supervisor_is_killed(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("good"))
    trivet.ok("deploy")
    repository.commit(shop("bad", web=FRAGILE))
    with _deploying(trivet, "--watch", "60") as deploy:
        deploy.await_watch("v2")
        killed = trivet.supervisor_pid
        subprocess.run(("kill", "-9", str(killed)), check=True)
        eventually(lambda: _supervisor(trivet) not in (None, killed), what="another supervisor")
        (_storage(trivet) / "die").touch()
        status, _ = deploy.end()
    assert status == 40
    assert fetch(trivet.url)[1] == "good - v3\n"


def _supervisor(trivet: Trivet) -> int | None:
    try:
        return trivet.supervisor_pid
    except LookupError:
        return None


def test_what_a_release_was_found_to_be_is_told_as_json(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("v1"))
    trivet.ok("deploy")
    repository.commit(shop("v2"))
    done = trivet.ok("deploy", "--json")
    (web,) = trivet.processes(process="web.1")
    told = done.json()
    assert set(told["timings_s"]) == {"ready", "shifted", "watched", "drained", "stopped"}
    assert told["connections"] == {"cut": 0, "drained": 0}
    serving = {"pid": web["pid"], "port": web["port"], "process": "web.1", "by_socket": False}
    assert told["proof"] == {"left": [], "serving": [serving]}
    assert f"web.1: process {web['pid']} answers on port {web['port']}\n" in done.err
    assert "watching it for 0.1 s, with the release before kept warm\n" in done.err
    shown = trivet.ok("releases", "show", "v2", "--json").json()
    assert {key: shown[key] for key in ("timings_s", "connections", "proof")} == {
        key: told[key] for key in ("timings_s", "connections", "proof")
    }
