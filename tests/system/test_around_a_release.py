"""The commands around a release: the release command, the schema's marker, and the hooks of the repository."""

import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.apps import DIES, PROCFILE, SERVER, shop
from support.command import Done, Trivet, eventually, fetch
from support.repository import Repository

SETTINGS = 'app = "shop"\n\n[processes.web]\ntimeout = 60\n\n[processes.worker]\nsettle = 0.2\n\n[release]\n'


def _files(version: str, *, release: str = "", settings: str = "", web: str = SERVER) -> dict[str, str | None]:
    procfile = f"{PROCFILE}release: {release}\n" if release else PROCFILE
    return shop(version, web=web, procfile=procfile, settings=SETTINGS + settings)


def _hooks(repository: Repository, **scripts: str) -> None:
    for name, script in scripts.items():
        repository.write_program(f"hooks/{name.replace('_', '-')}", f"#!/bin/sh\n{script}\n")


@pytest.fixture
def deployed(trivet: Trivet, repository: Repository) -> Trivet:
    """A deployed shop."""
    repository.commit(_files("v1"), "Open the shop")
    trivet.ok("deploy")
    return trivet


def _says(done: Done, status: int, told: str) -> None:
    assert (done.status, done.out) == (status, "")
    assert done.err.endswith(told), done.err


def _state(trivet: Trivet, release: str) -> str:
    return str(trivet.ok("releases", "show", release, "--json").json()["state"])


def test_a_release_command_that_takes_too_long_is_ended_and_changes_nothing(
    deployed: Trivet, repository: Repository
) -> None:
    before = deployed.pids()
    repository.commit(_files("v2", release="echo migrating; sleep 983", settings="timeout = 4\n"))
    done = deployed.run("deploy", "--json")
    _says(
        done,
        40,
        "error: The release command of v2 took longer than 4 s and was ended, with all that it had started: "
        "echo migrating; sleep 983\n"
        "  | migrating\n"
        "hint:  v1 still serves, untouched; what the command itself has done stays done. If it needs longer, say so: "
        "[release] timeout in trivet.toml; `trivet releases output v2` has all that it wrote.\n",
    )
    assert deployed.pids() == before
    assert _state(deployed, "v2") == "failed"
    assert deployed.ok("releases", "output", "v2").out == (
        "release: echo migrating; sleep 983: took too long and was ended\nmigrating\n"
    )
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"sleep\x00983" in _content(path)]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_the_whole_output_of_a_release_command_is_kept_for_a_failed_release_too(
    deployed: Trivet, repository: Repository
) -> None:
    repository.commit(_files("v2", release="seq 1000; exit 3"))
    assert deployed.run("deploy").status == 40
    lines = "".join(f"{number}\n" for number in range(1, 1001))
    assert deployed.ok("releases", "output", "v2", "release").out == lines
    (kept,) = deployed.ok("releases", "output", "v2", "--json").json()
    assert (kept["part"], kept["status"], kept["timed_out"], kept["text"]) == ("release", 3, False, lines)


def test_a_release_without_output_says_so(deployed: Trivet) -> None:
    done = deployed.ok("releases", "output", "v1")
    assert (done.out, done.err) == (
        "",
        "note     v1 of shop/production has no output: no release command or hook has run\n",
    )
    assert deployed.ok("releases", "output", "v1", "--json").json() == []
    _says(
        deployed.run("releases", "output", "v1", "release"),
        2,
        "error: v1 of shop/production has no output of release.\nhint:  `trivet releases output v1` shows all.\n",
    )
    _says(
        deployed.run("releases", "output", "v7"),
        30,
        "error: shop/production has no release v7.\nhint:  It has v1 to v1.\n",
    )


def test_hooks_run_around_a_release_and_are_told_what_it_is(trivet: Trivet, repository: Repository) -> None:
    tell = 'printenv | grep ^TRIVET_ | sort > "$TRIVET_STORAGE/$TRIVET_HOOK.$TRIVET_RELEASE"'
    _hooks(repository, pre_release=tell, post_release=tell, failed=tell)
    first = repository.commit(
        _files("v1", release="test -e $TRIVET_STORAGE/pre-release.$TRIVET_RELEASE"), "Open the shop"
    )
    trivet.ok("config", "set", "PASSWORD=s3cret-canary")
    trivet.ok("deploy", "-m", "the first")
    told = trivet.home / "apps" / "shop" / "deploys" / "production" / "storage"
    before = _variables(told / "pre-release.v1")
    common = {
        "TRIVET_ACTOR": trivet.ok("releases", "show", "v1", "--json").json()["actor"],
        "TRIVET_APP": "shop",
        "TRIVET_BUILD": trivet.ok("releases", "show", "v1", "--json").json()["build"],
        "TRIVET_CAUSE": "deploy",
        "TRIVET_COMMIT": first,
        "TRIVET_DEPLOY": "production",
        "TRIVET_PREVIOUS": "",
        "TRIVET_PREVIOUS_COMMIT": "",
        "TRIVET_REASON": "the first",
        "TRIVET_RELEASE": "v1",
        "TRIVET_STORAGE": str(told),
    }
    assert before == {**common, "TRIVET_HOOK": "pre-release", "TRIVET_PROCESS": "pre-release.1"}
    outcome = {"TRIVET_OUTCOME": "succeeded", "TRIVET_FAILURE": "", "TRIVET_URL": trivet.url.rstrip("/")}
    assert _variables(told / "post-release.v1") == {
        **common,
        **outcome,
        "TRIVET_HOOK": "post-release",
        "TRIVET_PROCESS": "post-release.1",
    }
    repository.commit(_files("v2", web=DIES))
    assert trivet.run("deploy").status == 40
    after = _variables(told / "failed.v2")
    assert (after["TRIVET_OUTCOME"], after["TRIVET_PREVIOUS"], after["TRIVET_PREVIOUS_COMMIT"]) == (
        "failed",
        "v1",
        first,
    )
    assert after["TRIVET_FAILURE"] == trivet.ok("releases", "show", "v2", "--json").json()["failure"]
    assert after["TRIVET_URL"] == ""
    assert sorted(path.name for path in told.iterdir()) == [
        "failed.v2",
        "post-release.v1",
        "pre-release.v1",
        "pre-release.v2",
    ]
    assert "s3cret-canary" not in "".join(path.read_text() for path in told.iterdir())


def _variables(path: Path) -> Mapping[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def test_hooks_run_for_every_kind_of_release(deployed: Trivet, repository: Repository) -> None:
    _hooks(repository, post_release='echo "$TRIVET_CAUSE $TRIVET_DEPLOY $TRIVET_RELEASE after $TRIVET_PREVIOUS"')
    repository.commit(_files("v2"))
    deployed.ok("deploy")
    deployed.ok("config", "set", "GREETING=hello")
    repository.commit(_files("v4", settings="hook_timeout = 30\n"))
    deployed.ok("deploy")
    deployed.ok("rollback", "v2", "--yes")
    deployed.ok("promote", "production", "staging")
    said = [deployed.ok("releases", "output", f"v{number}", "post-release").out for number in (2, 3, 4, 5)]
    assert said == [
        "deploy production v2 after v1\n",
        "config production v3 after v2\n",
        "deploy production v4 after v3\n",
        "rollback production v5 after v4\n",
    ]
    assert deployed.ok("releases", "output", "v1", "post-release", "-d", "staging").out == "promote staging v1 after \n"


def test_a_hook_before_the_release_that_fails_stops_it(deployed: Trivet, repository: Repository) -> None:
    before = deployed.pids()
    _hooks(repository, pre_release="echo the tests are red; exit 4", failed='echo "told: $TRIVET_FAILURE"')
    repository.commit(_files("v2", release="touch $TRIVET_STORAGE/migrated"))
    done = deployed.run("deploy")
    _says(
        done,
        40,
        "error: hooks/pre-release stopped v2: it ended with exit status 4.\n"
        "  | the tests are red\n"
        "hint:  v1 still serves, untouched. `trivet releases output v2` has all that it wrote; mend what it found, and try "
        "again.\n",
    )
    assert deployed.pids() == before
    assert _state(deployed, "v2") == "failed"
    assert deployed.ok("releases", "output", "v2").out == (
        "pre-release: hooks/pre-release: ended with exit status 4\n"
        "the tests are red\n"
        "failed: hooks/failed: ended with exit status 0\n"
        "told: hooks/pre-release stopped v2: it ended with exit status 4.\n"
    )
    assert not (deployed.home / "apps/shop/deploys/production/storage/migrated").exists()


def test_a_hook_before_the_release_that_takes_too_long_stops_it(deployed: Trivet, repository: Repository) -> None:
    _hooks(repository, pre_release="exec sleep 600")
    repository.commit(_files("v2", settings="hook_timeout = 0.3\n"))
    _says(
        deployed.run("deploy"),
        40,
        "error: hooks/pre-release stopped v2: it took too long and was ended.\n"
        "hint:  v1 still serves, untouched. `trivet releases output v2` has all that it wrote; mend what it found, and try "
        "again.\n",
    )


def test_a_hook_that_has_gone_bad_keeps_nobody_from_going_back(trivet: Trivet, repository: Repository) -> None:
    _hooks(repository, pre_release="test ! -e $TRIVET_STORAGE/gone-bad", post_release="echo after")
    for version in ("v1", "v2"):
        repository.commit(_files(version))
        trivet.ok("deploy")
    (trivet.home / "apps/shop/deploys/production/storage/gone-bad").touch()
    assert trivet.run("rollback", "--yes").status == 40
    assert "hooks" not in trivet.ok("rollback", "--yes", "--skip-hooks").err
    assert fetch(trivet.url) == (200, "v1 - v4\n")
    assert trivet.ok("releases", "output", "v4", "--json").json() == []


def test_a_hook_after_the_release_that_fails_is_a_notice(deployed: Trivet, repository: Repository) -> None:
    _hooks(repository, post_release="exit 5", failed="exit 6")
    repository.commit(_files("v2"))
    done = deployed.ok("deploy")
    assert (
        "note     hooks/post-release ended with exit status 5; that changes nothing about v2 "
        "(`trivet releases output v2` has what it wrote)\n"
    ) in done.err
    assert done.out.startswith("shop/production v2 is live")
    assert _state(deployed, "v2") == "succeeded"
    repository.commit(_files("v3", release="exit 1"))
    done = deployed.run("deploy")
    assert "note     hooks/failed ended with exit status 6; that changes nothing about v3" in done.err
    assert "error: The release command of v3 ended with exit status 1: exit 1\n" in done.err


def test_ctrl_c_while_a_hook_runs_after_the_release_leaves_the_release_as_it_is(
    deployed: Trivet, repository: Repository, tmp_path: Path
) -> None:
    begun = tmp_path / "home/apps/shop/deploys/production/storage/begun"
    _hooks(repository, post_release="touch $TRIVET_STORAGE/begun; exec sleep 600")
    repository.commit(_files("v2"))
    with deployed.start("deploy") as command:
        eventually(begun.exists, what="the hook", deadline_s=60)
        command.send_signal(signal.SIGINT)
        out, err = command.communicate(timeout=60)
    assert (command.returncode, out) == (130, "")
    assert "note     interrupted after v2 had succeeded: its hook was ended" in err
    assert err.endswith(
        "error: Interrupted, but v2 had already taken over and serves now.\n"
        "hint:  `trivet rollback` brings back the release before.\n"
    )
    assert fetch(deployed.url) == (200, "v2 - v2\n")


def test_a_hook_that_is_not_executable_is_an_error(trivet: Trivet, repository: Repository) -> None:
    repository.commit({**_files("v1"), "hooks/post-release": "#!/bin/sh\n"})
    _says(
        trivet.run("deploy"),
        2,
        "error: hooks/post-release is not executable, so that it would never run.\n"
        "hint:  Make it so and commit it: git update-index --chmod=+x hooks/post-release (if it is no hook, give it another "
        "name).\n",
    )


def test_what_looks_like_a_hook_and_is_none_is_told(trivet: Trivet, repository: Repository) -> None:
    repository.commit({**_files("v1"), "hooks/post_release.sh": "#!/bin/sh\n", "hooks/useCart.ts": ""})
    done = trivet.ok("build")
    assert "note     hooks/post_release.sh is no hook: one is called hooks/post-release\n" in done.err
    assert "useCart" not in done.err


@pytest.mark.fetches
def test_hooks_are_in_the_build_of_a_static_site_as_well(trivet: Trivet, repository: Repository) -> None:
    _hooks(repository, post_release="echo hooked")
    repository.commit({"public/index.html": "<p>Tea</p>\n"})
    trivet.ok("deploy")
    assert trivet.ok("releases", "output", "v1", "post-release").out == "hooked\n"


MARK = 'echo {mark} > "$TRIVET_STORAGE/schema"'
SCHEMA = 'schema = "cat $TRIVET_STORAGE/schema"\n'


def test_a_rollback_across_a_changed_schema_stops_unless_it_is_accepted(trivet: Trivet, repository: Repository) -> None:
    for number, mark in ((1, "one"), (2, "one"), (3, "two")):
        repository.commit(_files(f"v{number}", release=MARK.format(mark=mark), settings=SCHEMA))
        assert f"release  schema: {mark}\n" in trivet.ok("deploy").err
    assert trivet.ok("releases", "show", "v3", "--json").json()["schema"] == "two"
    assert "schema     two\n" in trivet.ok("releases", "show", "v3").out
    before = trivet.pids()
    done = trivet.run("rollback", "v2", "--yes")
    assert "  schema     ! the database has two since v3, this code was released with one\n" in done.err
    _says(
        done,
        30,
        "error: v2 was released with the schema one, and since v3 the database has two: the code of v2 may not work with it.\n"
        "hint:  Nothing was changed. If it works all the same, or once you have taken the database back by the app's own means "
        "(`trivet run …`): trivet rollback v2 --accept-schema\n",
    )
    assert trivet.pids() == before
    trivet.ok("rollback", "v2", "--yes", "--accept-schema")
    assert trivet.ok("releases", "show", "v4", "--json").json()["schema"] == "two"
    done = trivet.ok("rollback", "v3", "--yes")
    assert "  schema     the same schema (two)\n" in done.err


def test_a_failed_release_may_have_changed_the_schema(trivet: Trivet, repository: Repository) -> None:
    for number in (1, 2):
        repository.commit(_files(f"v{number}", release=MARK.format(mark="one"), settings=SCHEMA))
        trivet.ok("deploy")
    repository.commit(_files("v3", release=MARK.format(mark="two"), settings=SCHEMA, web=DIES))
    assert trivet.run("deploy").status == 40
    done = trivet.run("rollback", "v1", "--yes")
    assert "error: v1 was released with the schema one, and since v3 the database has two:" in done.err
    assert done.status == 30


def test_a_schema_that_nobody_knows_stops_nothing(trivet: Trivet, repository: Repository) -> None:
    repository.commit(_files("v1"))
    trivet.ok("deploy")
    repository.commit(_files("v2", settings='schema = "echo broken; exit 3"\n'))
    done = trivet.ok("deploy")
    assert (
        "note     the schema of v2 is not known: `echo broken; exit 3`: it ended with exit status 3 "
        "(`trivet releases output v2` has what it wrote)\n"
    ) in done.err
    repository.commit(_files("v3", settings='schema = "echo three"\n'))
    trivet.ok("deploy")
    done = trivet.ok("rollback", "v1", "--yes")
    assert "schema" not in done.err
