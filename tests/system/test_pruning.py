"""Pruning: the disk is freed of what nobody needs, and the promise of going back is kept."""

import fcntl
import os
from pathlib import Path

import pytest

from support.apps import DIES, shop
from support.command import Trivet, eventually, fetch
from support.repository import Repository
from support.terminal import Terminal

CHANGING = 'app = "shop"\n\n[build]\ncommands = ["date +%s%N > made"]\n'


def _age(trivet: Trivet) -> None:
    """All builds were made long ago."""
    documents = trivet.home.glob("apps/*/builds/*/build.json")
    for seconds, document in enumerate(sorted(documents, key=lambda path: path.stat().st_mtime_ns)):
        os.utime(document, (seconds, seconds))


def _deploy(trivet: Trivet, repository: Repository, *versions: str, settings: str | None = None) -> None:
    for version in versions:
        repository.commit(shop(version, **({"settings": settings} if settings else {})), f"Open {version}")
        trivet.ok("deploy")
    newest = trivet.ok("releases", "--json").json()[0]["release"]
    eventually(lambda: {process["release"] for process in trivet.processes()} == {newest}, what="the end of the old")


def _states(trivet: Trivet) -> list[str]:
    """Of the builds, the newest first."""
    return [build["state"] for build in trivet.ok("builds", "--json").json()]


def _ids(trivet: Trivet) -> list[str]:
    return [build["id"] for build in trivet.ok("builds", "--json").json()]


@pytest.fixture
def five(trivet: Trivet, repository: Repository) -> Trivet:
    """A shop with five releases, each of another build; all builds are old."""
    _deploy(trivet, repository, "v1", "v2", "v3", "v4", "v5")
    _age(trivet)
    return trivet


def test_the_last_good_releases_stay_and_what_is_freed_is_told(five: Trivet) -> None:
    assert _states(five) == ["ready", "ready", "stored", "stored", "stored"]
    commits = {build["id"]: build["commit"] for build in map(_flat, five.ok("builds", "--json").json())}
    ids = _ids(five)
    done = five.ok("prune", "--keep", "3")
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0] == ["APP", "BUILD", "BECOMES", "COMMIT", "SUBJECT", "FREES"]
    assert [line[:6] for line in lines[1:3]] == [
        ["shop", ids[3], "pruned", commits[ids[3]][:8], "Open", "v2"],
        ["shop", ids[4], "pruned", commits[ids[4]][:8], "Open", "v1"],
    ]
    assert done.out.splitlines()[-1].startswith("pruned 2 builds: ")
    assert done.out.endswith(" freed\n")
    assert done.err == ""
    assert _states(five) == ["ready", "ready", "stored", "pruned", "pruned"]
    assert five.ok("builds", "log", ids[4]).out
    assert five.ok("builds", "show", ids[4]).out.startswith("build ")
    assert fetch(five.url)[1].startswith("v5 ")
    assert five.ok("prune", "--keep", "3").out == "nothing to prune\n"


def _flat(build: dict[str, object]) -> dict[str, str]:
    source = build["source"]
    assert isinstance(source, dict)
    return {"id": str(build["id"]), "commit": source["commit"]}


def test_a_dry_run_tells_the_same_and_changes_nothing(five: Trivet) -> None:
    def everything() -> set[str]:
        return {str(path) for top in ("layers", "objects", "apps/shop/builds") for path in (five.home / top).rglob("*")}

    before = everything()
    told = five.ok("prune", "--keep", "1", "--dry-run", "--json").json()
    assert everything() == before
    assert told["freed_bytes"] > 0
    assert [build["state"] for build in told["builds"]] == ["pruned"] * 4
    done = five.ok("prune", "--keep", "1", "--json").json()
    assert done == {**told, "dry_run": False}
    assert everything() < before


def test_a_stored_build_is_rolled_back_to_without_a_question(five: Trivet) -> None:
    done = five.ok("rollback", "v2", "--yes")
    assert "checking out its stored layers\n" in done.err
    assert fetch(five.url)[1].startswith("v2 ")
    assert _states(five) == ["ready", "ready", "stored", "ready", "stored"]


def test_what_is_pinned_stays_until_it_is_unpinned(five: Trivet) -> None:
    assert five.ok("releases", "pin", "v1").out == "shop/production v1 is pinned: pruning keeps it\n"
    assert five.ok("releases", "pin", "v1").out == "shop/production v1 was already pinned: pruning keeps it\n"
    five.ok("prune", "--keep", "1")
    assert _states(five) == ["ready", "pruned", "pruned", "pruned", "stored"]
    assert "superseded, pinned" in five.ok("releases").out
    assert "state      superseded by v2, pinned\n" in five.ok("releases", "show", "v1").out
    assert [release["pinned"] for release in five.ok("releases", "--json").json()] == [False] * 4 + [True]
    assert five.ok("releases", "unpin", "v1").out == "shop/production v1 is not pinned: pruning may take it\n"
    five.ok("prune", "--keep", "1")
    assert _states(five) == ["ready", "pruned", "pruned", "pruned", "pruned"]


def test_only_a_good_release_can_be_pinned(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("v1", web=DIES))
    assert trivet.run("deploy").status == 40
    done = trivet.run("releases", "pin", "v1")
    assert (done.status, done.out) == (30, "")
    assert done.err == (
        "error: v1 failed, so there is nothing to keep it for.\n"
        "hint:  Pin a good release: `trivet releases` lists them.\n"
    )


def test_failed_releases_do_not_count(trivet: Trivet, repository: Repository) -> None:
    _deploy(trivet, repository, "v1", "v2")
    for number in range(3):
        repository.commit(shop(f"bad{number}", web=DIES))
        assert trivet.run("deploy").status == 40
    _age(trivet)
    trivet.ok("prune", "--keep", "2")
    assert _states(trivet) == ["pruned", "pruned", "pruned", "ready", "ready"]
    trivet.ok("rollback", "v1", "--yes")
    assert fetch(trivet.url)[1].startswith("v1 ")


def test_a_deploy_prunes_by_itself_and_says_so_only_if_it_frees_something(
    trivet: Trivet, repository: Repository
) -> None:
    trivet.environment["TRIVET_KEEP_RELEASES"] = "1"
    repository.commit(shop("v1"))
    assert "prune" not in trivet.ok("deploy").err
    assert "prune" not in trivet.ok("deploy").err
    _age(trivet)
    repository.commit(shop("v2"))
    done = trivet.ok("deploy")
    assert "note     pruned 1 build: " in done.err
    assert _states(trivet) == ["ready", "pruned"]


def test_a_deploy_does_not_fail_because_pruning_does(trivet: Trivet, repository: Repository) -> None:
    trivet.environment["TRIVET_KEEP_RELEASES"] = "many"
    repository.commit(shop("v1"))
    done = trivet.ok("deploy")
    assert "note     old builds could not be pruned: TRIVET_KEEP_RELEASES is 'many', " in done.err
    refused = trivet.run("prune")
    assert refused.status == 2
    assert refused.err == (
        "error: TRIVET_KEEP_RELEASES is 'many', which is no number of releases.\n"
        "hint:  Set it to 1 or more: TRIVET_KEEP_RELEASES=20\n"
    )


def test_a_budget_takes_the_oldest_releases_and_never_what_runs(five: Trivet) -> None:
    five.ok("prune", "--budget", "1kB")
    assert _states(five) == ["ready", "ready", "pruned", "pruned", "pruned"]
    refused = five.run("prune", "--budget", "lots")
    assert (refused.status, refused.err) == (
        2,
        "error: --budget: 'lots' is no size.\nhint:  Write it like 500MB or 20GB.\n",
    )
    assert five.run("prune", "--keep", "3", "--budget", "1GB").status == 0


def test_what_was_built_within_the_hour_stays(five: Trivet, repository: Repository) -> None:
    repository.commit(shop("v6"))
    five.ok("build")
    five.ok("prune", "--keep", "1")
    assert _states(five) == ["stored", "ready", "pruned", "pruned", "pruned", "pruned"]
    assert "found" in five.ok("deploy").err


def test_a_one_off_of_an_old_release_keeps_its_build(five: Trivet) -> None:
    five.ok("rollback", "v1", "--yes")
    five.ok("rollback", "v5", "--yes")
    _age(five)
    with five.start("run", "--release", "v1", "echo started; sleep 600") as console:
        assert console.stdout is not None
        assert console.stdout.readline() == "started\n"
        five.ok("prune", "--keep", "1")
        assert _states(five) == ["ready", "pruned", "pruned", "pruned", "ready"]
        console.terminate()
        console.communicate()


def test_what_runs_stays_even_if_the_ledger_is_lost(five: Trivet) -> None:
    five.ok("down")
    for path in five.home.glob("trivet.db*"):
        path.unlink()
    five.ok("apps")
    five.ok("prune")
    five.ok("up")
    eventually(lambda: fetch(_url(five))[1].startswith("v5 "), what="an answer")


def _url(trivet: Trivet) -> str:
    (process,) = [process for process in trivet.processes(state="running") if process["process"] == "web.1"]
    return f"http://127.0.0.1:{process['port']}/"


def test_nobody_prunes_while_somebody_builds(five: Trivet) -> None:
    with (five.home / "locks/store").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        done = five.run("prune", "--no-wait")
        assert (done.status, done.out) == (75, "")
        assert done.err == (
            f"error: another command (pid {os.getpid()}) is at work on the builds.\n"
            "hint:  Wait for it to end, then try again.\n"
        )
        assert "prune" not in five.ok("deploy").err
    with (five.home / "locks/store").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert five.run("deploy", "--no-wait").status == 75
    assert five.run("prune", "--no-wait").status == 0


def test_the_downloads_of_an_app_that_is_gone_go_too(five: Trivet) -> None:
    (five.home / "cache/gone/uv").mkdir(parents=True)
    (five.home / "cache/gone/uv/wheel").write_bytes(b"x" * 100_000)
    (five.home / "cache/shop").mkdir(exist_ok=True)
    done = five.ok("prune")
    assert done.out.startswith("pruned leftovers: ")
    assert [path.name for path in (five.home / "cache").iterdir()] == ["shop"]


def test_a_pruned_build_is_built_again_and_compared(five: Trivet) -> None:
    five.ok("prune", "--keep", "1")
    ids = _ids(five)
    refused = five.run("rollback", "v2")
    assert (refused.status, refused.out) == (30, "")
    commit = five.ok("releases", "show", "v2", "--json").json()["commit"][:8]
    assert refused.err.endswith(
        f"error: The build {ids[3]} of v2 was pruned: its layers are not on this machine any more.\n"
        f"hint:  `trivet rollback v2 --rebuild` builds {commit} again and compares it with what was released. "
        "`trivet releases pin` keeps a release from being pruned.\n"
    )
    five.ok("rollback", "v2", "--rebuild")
    assert fetch(five.url)[1].startswith("v2 ")
    assert five.ok("releases", "show", "v6", "--json").json()["build"] == ids[3]
    states = dict(zip(_ids(five), _states(five), strict=True))
    assert [states[build_id] for build_id in ids] == ["ready", "pruned", "pruned", "ready", "pruned"]


def test_a_rebuilt_build_that_differs_is_refused_unless_accepted(trivet: Trivet, repository: Repository) -> None:
    _deploy(trivet, repository, "v1", "v2", settings=CHANGING)
    _age(trivet)
    old = trivet.ok("releases", "show", "v1", "--json").json()["build"]
    trivet.ok("prune", "--keep", "1")
    refused = trivet.run("rollback", "v1", "--rebuild")
    assert (refused.status, refused.out) == (30, "")
    said, detail, hint = refused.err.splitlines()[-3:]
    assert said == "error: What was built again is not what v1 was released with."
    assert detail.startswith("  | the layer 'app' is ")
    assert ", and was " in detail
    assert hint == (
        "hint:  Nothing was changed. `trivet rollback v1 --rebuild --accept-changes` goes back to it all the same."
    )
    assert len(trivet.ok("releases", "--json").json()) == 2
    trivet.ok("rollback", "v1", "--rebuild", "--accept-changes")
    assert fetch(trivet.url)[1].startswith("v1 ")
    assert trivet.ok("releases", "show", "v3", "--json").json()["build"] != old


def test_at_a_terminal_a_person_is_asked(five: Trivet) -> None:
    five.ok("prune", "--keep", "1")
    terminal = Terminal(five, "rollback", "v2")
    terminal.expect("Roll back? [y/N]: ")
    terminal.type("y\n")
    terminal.expect("again and compare? [y/N]: ")
    terminal.type("n\n")
    assert terminal.end() == 130
    assert "Nothing was changed." in terminal.shown
    terminal = Terminal(five, "rollback", "v2")
    terminal.expect("Roll back? [y/N]: ")
    terminal.type("y\n")
    terminal.expect("again and compare? [y/N]: ")
    terminal.type("y\n")
    assert terminal.end() == 0
    assert fetch(five.url)[1].startswith("v2 ")


def test_nothing_to_prune_before_there_is_anything(trivet: Trivet, tmp_path: Path) -> None:
    assert trivet.at(tmp_path).ok("prune").out == "nothing to prune\n"
    assert not trivet.home.exists()


def test_what_is_stored_or_pruned_is_not_taken_for_altered(five: Trivet) -> None:
    five.ok("prune", "--keep", "3")
    ids = _ids(five)
    assert five.ok("builds", "verify").out == (
        "".join(f"{build_id}  as built\n" for build_id in ids[:3])
        + "".join(f"{build_id}  pruned: only its record is left\n" for build_id in ids[3:])
    )
    assert not (five.home / f"apps/shop/builds/{ids[2]}/bundle/app").exists()
    needed = {path for path in five.home.glob("objects/*/*") if path.stat().st_nlink == 1}
    bad = next(path for path in needed if b'VERSION = "v3"' in path.read_bytes())
    bad.chmod(0o644)
    bad.write_bytes(b"evil")
    done = five.run("builds", "verify")
    assert done.status == 20
    assert f"{ids[2]}  altered  what is stored of its layers is not whole any more\n" in done.out
    five.ok("rollback", "v3", "--yes")
    assert fetch(five.url)[1].startswith("v3 ")
    assert five.run("builds", "verify").status == 0
