"""Rolling back is deploying with an older input: from every state it ends with the old build, config and processes serving."""

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from support.apps import DIES, PROCFILE, SERVER, SETTINGS, SILENT, shop
from support.command import Done, Trivet, eventually, fetch, own_port
from support.repository import Repository

ONLY_WEB = "web: python3 server.py\n"
QUICK = 'app = "shop"\n\n[processes.web]\ntimeout = 60\n'
NEEDS = "import os, sys\nif not os.path.exists({path!r}): sys.exit('its data are gone')\n"


def _files(version: str, **parts: str) -> dict[str, str | None]:
    return shop(version, **{"procfile": ONLY_WEB, "settings": QUICK, **parts})


def _deploy(trivet: Trivet, repository: Repository, version: str, *options: str, **parts: str) -> None:
    repository.commit(_files(version, **parts), f"Open {version}")
    trivet.ok("deploy", *options)


@pytest.fixture
def two(trivet: Trivet, repository: Repository) -> Trivet:
    """A shop with two good releases of two builds."""
    _deploy(trivet, repository, "v1", "--port", own_port())
    _deploy(trivet, repository, "v2")
    return trivet


def _show(trivet: Trivet, number: int, deploy: str = "production") -> dict[str, Any]:
    shown: dict[str, Any] = trivet.ok("releases", "show", f"v{number}", "-d", deploy, "--json").json()
    return shown


def _states(trivet: Trivet) -> list[str]:
    """Of the releases, the newest first."""
    return [each["state"] for each in trivet.ok("releases", "--json").json()]


def _url(trivet: Trivet, deploy: str = "production") -> str:
    return next(f"{each['address']}/" for each in trivet.ok("apps", "--json").json() if each["deploy"] == deploy)


def _back(trivet: Trivet, *arguments: str) -> Done:
    return trivet.ok("rollback", "--yes", *arguments)


def _check(trivet: Trivet, answer: str, *, to: int, deploy: str = "production") -> None:
    """This is answered by the newest release, which went back to that one; nothing else runs, and the ledger is whole."""
    number = trivet.ok("releases", "-d", deploy, "--json").json()[0]["release"]
    newest, old = _show(trivet, number, deploy), _show(trivet, to, deploy)
    assert fetch(_url(trivet, deploy)) == (200, f"{answer} v{number}\n")
    assert (newest["state"], newest["cause"], newest["origin"]["release"]) == ("succeeded", "rollback", to)
    assert (newest["build"], newest["config_version"]) == (old["build"], old["config_version"])
    eventually(
        lambda: {each["release"] for each in trivet.processes(deploy=deploy)} == {number}, what="the end of the old"
    )
    assert trivet.run("releases", "verify").status == 0


def test_after_failed_releases_it_goes_to_the_good_one_before(two: Trivet, repository: Repository) -> None:
    for status, parts in (
        (20, {"settings": 'app = "shop"\n[build]\ncommands = ["exit 7"]\n'}),
        (40, {"web": DIES}),
        (40, {"procfile": f"{ONLY_WEB}release: exit 3\n"}),
    ):
        repository.commit(_files("bad", **parts))
        assert two.run("deploy").status == status
    assert _states(two) == ["failed", "failed", "succeeded", "succeeded"]
    _back(two)
    _check(two, "v1 -", to=1)


def test_a_rollback_that_does_not_come_up_is_on_record_and_what_runs_is_not_touched(
    trivet: Trivet, repository: Repository, tmp_path: Path
) -> None:
    """The same gate as a deploy's: what was good once may not be any more."""
    data = tmp_path / "data"
    data.touch()
    _deploy(trivet, repository, "v1", "--port", own_port(), web=NEEDS.format(path=str(data)) + SERVER)
    _deploy(trivet, repository, "v2")
    before = trivet.pids()
    data.unlink()
    done = trivet.run("rollback", "--yes", "--quiet")
    assert (done.status, done.out) == (40, "")
    assert re.fullmatch(
        r"error: v3 did not come up: web\.1 exited with 1 after \d+\.\d s\.\n"
        r"  \| its data are gone\n"
        r"hint:  v2 still serves, untouched\. `trivet releases show v3` keeps this; "
        r"mend the app or its config and try again\.\n",
        done.err,
    )
    assert trivet.pids() == before
    assert _states(trivet) == ["failed", "succeeded", "succeeded"]
    data.touch()
    _back(trivet)
    _check(trivet, "v1 -", to=1)


def test_twice_in_a_row_it_goes_further_back_until_there_is_nothing_before(two: Trivet, repository: Repository) -> None:
    _deploy(two, repository, "v3")
    _back(two)
    _check(two, "v2 -", to=2)
    _back(two)
    _check(two, "v1 -", to=1)
    done = two.run("rollback", "--yes")
    assert (done.status, done.out) == (30, "")
    assert done.err == (
        "error: v5 runs, which is v1 again, and no good release before v1 has another build or config.\n"
        "hint:  Good releases: v4, v3, v2, v1.\n"
    )
    _back(two, "v3")
    _check(two, "v3 -", to=3)


def test_config_and_process_types_come_back_with_the_build(trivet: Trivet, repository: Repository) -> None:
    _deploy(trivet, repository, "v1", "--port", own_port(), procfile=PROCFILE, settings=SETTINGS)
    trivet.ok("config", "set", "GREETING=hello")
    trivet.ok("scale", "worker=2")
    trivet.ok("scale", "worker=0")
    _deploy(trivet, repository, "v2")
    trivet.ok("config", "set", "GREETING=bye", "EXTRA=1")
    _back(trivet, "v2")
    _check(trivet, "v1 hello", to=2)
    trivet.ok("scale", "worker=1")
    assert set(trivet.pids()) == {"web.1", "worker.1"}
    _back(trivet, "v4")
    _check(trivet, "v2 bye", to=4)
    assert set(trivet.pids()) == {"web.1"}
    _back(trivet, "v1")
    _check(trivet, "v1 -", to=1)
    assert set(trivet.pids()) == {"web.1", "worker.1"}
    trivet.ok("config", "set", "GREETING=again")
    assert sorted(trivet.ok("config", "--json").json()) == ["GREETING"]


def test_after_a_promotion_the_targets_own_build_and_config_come_back(trivet: Trivet, repository: Repository) -> None:
    for deploy in ("staging", "production"):
        trivet.ok("config", "set", f"GREETING={deploy}", "-d", deploy)
    for version in ("v1", "v2"):
        _deploy(trivet, repository, version, "-d", "staging")
        trivet.ok("promote", "staging", "production")
    assert fetch(_url(trivet)) == (200, "v2 production v2\n")
    _back(trivet)
    _check(trivet, "v1 production", to=1)
    assert fetch(_url(trivet, "staging")) == (200, "v2 staging v2\n")
    trivet.ok("rollback", "--yes", "-d", "staging")
    _check(trivet, "v1 staging", to=1, deploy="staging")


def test_of_a_stopped_deploy_it_takes_effect_when_it_is_started(two: Trivet) -> None:
    two.ok("stop")
    done = _back(two)
    assert done.told == "shop/production v3 is released, but the deploy is stopped: `trivet start` runs it (ledger …)\n"
    assert two.pids() == {}
    two.ok("start")
    _check(two, "v1 -", to=1)


def test_after_the_supervisor_was_killed_what_runs_is_adopted_and_replaced(two: Trivet) -> None:
    os.kill(two.supervisor_pid, signal.SIGKILL)
    assert fetch(_url(two)) == (200, "v2 - v2\n")
    _back(two)
    _check(two, "v1 -", to=1)


@pytest.mark.parametrize("how", ["down", "a reboot"])
def test_with_nothing_running_it_brings_up_everything_else_as_well(
    two: Trivet, repository: Repository, how: str
) -> None:
    two.ok("promote", "production", "staging")
    if how == "down":
        two.ok("down")
    else:
        pids = {each["pid"] for each in two.processes(state="running")}
        for pid in (two.supervisor_pid, two.door_pid, *pids):
            os.kill(pid, signal.SIGKILL)
    _back(two)
    _check(two, "v1 -", to=1)
    eventually(lambda: fetch(_url(two, "staging")) == (200, "v2 - v1\n"), what="the other deploy")


def test_after_a_killed_deploy_its_release_is_told_first(two: Trivet, repository: Repository) -> None:
    repository.commit(_files("v3", web=SILENT))
    with two.start("deploy") as command:
        eventually(lambda: _states(two)[0] == "pending" and two.processes(release=3), what="the start of v3")
        command.kill()
    os.kill(two.supervisor_pid, signal.SIGKILL)
    done = _back(two)
    assert "an interrupted command left v3 without an outcome; it failed: " in done.err
    _check(two, "v1 -", to=1)


def _prune(trivet: Trivet) -> None:
    """Nothing is kept but what runs."""
    newest = trivet.ok("releases", "--json").json()[0]["release"]
    eventually(lambda: {each["release"] for each in trivet.processes()} == {newest}, what="the end of the old")
    for path in trivet.home.glob("apps/shop/builds/*/build.json"):
        os.utime(path, (0, 0))
    trivet.ok("prune", "--keep", "1")


def test_to_a_pruned_build_it_is_built_again_and_refused_if_it_differs(two: Trivet, repository: Repository) -> None:
    _deploy(two, repository, "v3", settings=f'{QUICK}\n[build]\ncommands = ["date +%s%N > made"]\n')
    _deploy(two, repository, "v4")
    _prune(two)
    assert two.run("rollback", "v1", "--yes", "--quiet").status == 0  # --yes agrees to building it again
    _check(two, "v1 -", to=1)
    before = two.pids()
    done = two.run("rollback", "v3", "--rebuild", "--quiet")
    assert (done.status, done.out) == (30, "")
    assert re.fullmatch(
        r"error: What was built again is not what v3 was released with\.\n"
        r"  \| the layer 'app' is [0-9a-f]{12}, and was [0-9a-f]{12}\n"
        r"hint:  Nothing was changed\. `trivet rollback v3 --rebuild --accept-changes` goes back to it all the same\.\n",
        done.err,
    )
    assert two.pids() == before
    two.ok("rollback", "v3", "--rebuild", "--accept-changes")
    assert fetch(_url(two)) == (200, "v3 - v6\n")


def test_to_a_pruned_build_whose_commit_is_gone_as_well_it_says_what_is_missing(
    two: Trivet, repository: Repository
) -> None:
    _deploy(two, repository, "v3")
    _prune(two)
    shown = _show(two, 1)
    before = two.pids()
    (repository.path / ".git").rename(repository.path / "gone")
    done = two.run("rollback", "-a", "shop", "v1", "--rebuild", "--quiet")
    assert (done.status, done.out) == (30, "")
    assert done.err == (
        f"error: The build {shown['build']} of v1 was pruned and cannot be made again: "
        f"{repository.path} is not in a git repository.\n"
        f"hint:  Put a clone that has the commit {shown['commit'][:8]} at {repository.path}, then run the command again. "
        "Nothing was changed.\n"
    )
    assert two.pids() == before


def test_a_deploy_made_again_goes_back_to_nothing_of_its_former_life(two: Trivet, repository: Repository) -> None:
    two.ok("apps", "destroy", "shop", "--confirm", "shop")
    _deploy(two, repository, "v3", "--port", own_port())
    for arguments, why, hint in (
        (("v1",), "There is no release v1.", "There is no good release to roll back to yet."),
        ((), "v3 runs, and no good release before it has another build or config.", None),
    ):
        done = two.run("rollback", "--yes", *arguments)
        assert (done.status, done.out) == (30, "")
        assert done.err == f"error: {why}\nhint:  {hint or 'There is no good release to roll back to yet.'}\n"
