"""Plans: what a command would do, shown without doing it; and held to, if its hash is given."""

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.apps import DIES, PROCFILE, shop
from support.command import Done, Trivet, eventually, fetch
from support.repository import Repository
from support.terminal import Terminal

MIGRATED = PROCFILE + "release: echo migrating\n"
SETTINGS = 'app = "shop"\n'
OUTDATED = re.compile(r"error: The plan for shop/production is another one by now: its hash is [0-9a-f]{32}\.\n")


def _everything(home: Path) -> dict[str, tuple[object, ...]]:
    """All that lies in the home: what it is, its mode, what is in it, and when it was written.

    Whoever reads a database makes files beside it that are gone afterwards, so that neither its time nor that of the home counts.
    """
    return (
        {str(path.relative_to(home.parent)): _look(path) for path in (home, *home.rglob("*"))} if home.exists() else {}
    )


def _look(path: Path) -> tuple[object, ...]:
    found = path.lstat()
    written = None if path.name in ("trivet.db", "home") else found.st_mtime_ns
    if path.is_symlink():
        return found.st_mode, str(path.readlink()), written
    return found.st_mode, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "", written


def _plain(done: Done) -> str:
    """What was shown, without what differs from run to run."""
    text = re.sub(r"\b[0-9a-f]{32}\b", "HASH", done.out)
    text = re.sub(r"\b[0-9a-f]{12}\b", "BUILD", text)
    text = re.sub(r"\b[0-9a-f]{8}\b", "COMMIT", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    return re.sub(r"\d+\.\d [kMGT]?B", "SIZE", text)


def _on_any_disk(done: Done) -> str:
    """What was shown, but for the space that whatever else this machine does leaves on its disk."""
    return re.sub(r"\d+\.\d [kMGT]?B free", "SIZE free", done.out)


@pytest.fixture
def deployed(trivet: Trivet, repository: Repository) -> Trivet:
    """A shop at v1 with a release command, and a commit beyond it."""
    repository.commit(shop("v1", procfile=MIGRATED, settings=SETTINGS), "Open the shop")
    trivet.ok("deploy")
    repository.commit(shop("v2", procfile=MIGRATED.replace("worker: ", "mailer: "), settings=SETTINGS), "Send mail")
    return trivet


def test_the_plan_of_a_first_deploy(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("v1", procfile=MIGRATED, settings=SETTINGS), "Open the shop")
    done = trivet.ok("plan")
    assert _plain(done) == (
        "plan       shop/production: deploy COMMIT Open the shop\n"
        "release    v1, the first\n"
        "commit     COMMIT Open the shop\n"
        "build      to be made (procfile)\n"
        "layers     app: made\n"
        "config     c0: the same config\n"
        "command    echo migrating (run)\n"
        "processes  + web: python3 server.py\n"
        "           + worker: python3 worker.py\n"
        "           + release: echo migrating\n"
        "starts     web.1\n"
        "stops      nothing\n"
        "address    a free port of this machine, from 8000 on\n"
        "disk       SIZE free\n"
        "note       the build has to be made: whether that succeeds, and how large it gets, only making it tells\n"
        "           the supervisor is not running: it is started first, and with it what ran before\n"
        "hash       HASH\n"
    )
    assert done.err == ""
    assert not trivet.home.exists()


def test_the_plan_of_the_next_deploy(deployed: Trivet) -> None:
    assert _plain(deployed.ok("deploy", "--plan")) == (
        "plan       shop/production: deploy COMMIT Send mail\n"
        "release    v1 → v2\n"
        "commit     COMMIT Open the shop → COMMIT Send mail\n"
        "commits    + COMMIT Send mail (Ada)\n"
        "build      to be made (procfile)\n"
        "layers     app: made\n"
        "config     c0: the same config\n"
        "command    echo migrating (run)\n"
        "processes  + mailer: python3 worker.py\n"
        "           - worker: python3 worker.py\n"
        "starts     web.1\n"
        "stops      web.1\n"
        "address    http://127.0.0.1:PORT (it stays)\n"
        "disk       SIZE free\n"
        "note       the build has to be made: whether that succeeds, and how large it gets, only making it tells\n"
        "hash       HASH\n"
    )
    assert _on_any_disk(deployed.ok("plan")) == _on_any_disk(deployed.ok("deploy", "--plan"))


def test_the_plan_of_a_rollback(deployed: Trivet) -> None:
    deployed.ok("deploy")
    deployed.ok("config", "set", "GREETING=hello")
    assert _plain(deployed.ok("rollback", "v1", "--plan", "-m", "too much mail")) == (
        "plan       shop/production: too much mail\n"
        "release    v3 → v4\n"
        "commit     COMMIT Send mail → COMMIT Open the shop\n"
        "commits    - COMMIT Send mail (Ada)\n"
        "build      BUILD (procfile), there already, SIZE\n"
        "layers     app: found, SIZE\n"
        "config     c1 → c0\n"
        "           - GREETING is taken away\n"
        "command    echo migrating (not run)\n"
        "processes  + worker: python3 worker.py\n"
        "           - mailer: python3 worker.py\n"
        "starts     web.1\n"
        "stops      web.1\n"
        "address    http://127.0.0.1:PORT (it stays)\n"
        "disk       SIZE free\n"
        "hash       HASH\n"
    )


def test_the_plan_of_a_promotion_names_the_keys_that_the_target_lacks(deployed: Trivet) -> None:
    deployed.ok("promote", "production", "staging")
    deployed.ok("config", "set", "GREETING=hello", "TOKEN=s3cret")
    deployed.ok("config", "set", "-d", "staging", "GREETING=ahoy")
    deployed.ok("deploy")
    assert _plain(deployed.ok("promote", "production", "staging", "--plan")) == (
        "plan       shop/staging: promote production v3\n"
        "release    v2 → v3\n"
        "commit     COMMIT Open the shop → COMMIT Send mail\n"
        "commits    + COMMIT Send mail (Ada)\n"
        "build      BUILD (procfile), there already, SIZE\n"
        "layers     app: found, SIZE\n"
        "config     c1: the same config\n"
        "           ! TOKEN: production has it\n"
        "command    echo migrating (run)\n"
        "processes  + mailer: python3 worker.py\n"
        "           - worker: python3 worker.py\n"
        "starts     web.1\n"
        "stops      web.1\n"
        "address    http://127.0.0.1:PORT (it stays)\n"
        "disk       SIZE free\n"
        "hash       HASH\n"
    )


def test_the_plan_of_a_change_of_config_names_keys_and_no_value(deployed: Trivet) -> None:
    deployed.ok("config", "set", "GREETING=hello", "OLD=1")
    done = deployed.ok("config", "set", "GREETING=ahoy-s3cret", "TOKEN=-", "--plan", input="s3cret")
    assert _plain(done) == (
        "plan       shop/production: set GREETING, TOKEN\n"
        "release    v2 → v3\n"
        "commit     COMMIT Open the shop (the same commit)\n"
        "build      BUILD (procfile), there already, SIZE\n"
        "layers     app: found, SIZE\n"
        "config     c1 → a new version\n"
        "           + TOKEN\n"
        "           ~ GREETING\n"
        "command    echo migrating (run)\n"
        "processes  the same process types\n"
        "starts     web.1\n"
        "stops      web.1\n"
        "address    http://127.0.0.1:PORT (it stays)\n"
        "disk       SIZE free\n"
        "hash       HASH\n"
    )
    assert "config     c1 → a new version\n           - OLD\n" in deployed.ok("config", "unset", "OLD", "--plan").out
    assert "s3cret" not in deployed.ok("config", "set", "TOKEN=s3cret", "--plan", "--json").out
    assert _plain(deployed.ok("config", "set", "GREETING=hello", "--plan")) == (
        "plan     shop/production: change nothing\n"
        "release  none: the config has these values already\n"
        "config   c1: the same config\n"
        "disk     SIZE free\n"
        "hash     HASH\n"
    )


def test_the_plan_of_a_config_before_the_first_deploy(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("v1"))
    assert _plain(trivet.ok("config", "set", "GREETING=hello", "--plan")) == (
        "plan     shop/production: set GREETING\n"
        "release  none yet: the first deploy will use this config\n"
        "config   c0 → a new version\n"
        "         + GREETING\n"
        "disk     SIZE free\n"
        "hash     HASH\n"
    )
    assert not trivet.home.exists()


def test_a_stopped_deploy_and_one_that_is_scaled_are_planned_as_they_would_run(deployed: Trivet) -> None:
    deployed.ok("scale", "web=2", "worker=1")
    planned = deployed.ok("plan", "HEAD~1", "--json").json()
    assert (planned["starts"], planned["stops"]) == (["web.1", "web.2", "worker.1"], ["web.1", "web.2", "worker.1"])
    deployed.ok("stop")
    shown = deployed.ok("plan", "HEAD~1").out
    assert "starts     nothing: the deploy is stopped\nstops      nothing: the deploy is stopped\n" in shown


def test_no_plan_changes_anything(deployed: Trivet) -> None:
    deployed.ok("promote", "production", "staging")
    deployed.ok("config", "set", "GREETING=hello")
    eventually(lambda: len(deployed.processes()) == 2, what="the end of the old")
    verified, ledger = deployed.ok("releases", "verify").out, deployed.ok("releases", "--all", "--json").out
    before = _everything(deployed.home)
    for arguments in (
        ("plan",),
        ("plan", "HEAD~1", "--json"),
        ("plan", "-d", "preview", "--port", "8999"),
        ("deploy", "--plan", "--rebuild"),
        ("rollback", "--plan"),
        ("promote", "production", "staging", "--plan"),
        ("promote", "production", "nowhere", "--plan"),
        ("config", "set", "GREETING=ahoy", "--plan"),
        ("config", "unset", "GREETING", "--plan"),
        ("config", "set", "-d", "elsewhere", "A=1", "--plan"),
    ):
        deployed.ok(*arguments)
        assert _everything(deployed.home) == before, arguments
    assert deployed.ok("releases", "--all", "--json").out == ledger
    assert deployed.ok("releases", "verify").out == verified


def test_what_a_plan_says_is_what_happens(deployed: Trivet, repository: Repository) -> None:
    repository.commit({"requirements.txt": "", "notes": "more"}, "Be a Python app")
    _plan_and_do(deployed, "deploy")
    repository.commit({"notes": "even more"}, "Write more notes")
    deployed.ok("scale", "web=2")
    planned = _plan_and_do(deployed, "deploy")
    assert [layer["fate"] for layer in planned["build"]["layers"]] == ["expected", "made"]
    (newest, *_) = deployed.ok("builds", "--json").json()
    assert planned["build"]["layers"][0]["size_bytes"] == newest["layers"][0]["size_bytes"]
    _plan_and_do(deployed, "config", "set", "GREETING=hello", "A=1")
    _plan_and_do(deployed, "rollback", "v2")
    _plan_and_do(deployed, "promote", "production", "staging", deploy="staging")


def _plan_and_do(trivet: Trivet, *arguments: str, deploy: str = "production") -> Any:
    """The command did what its plan said, whose hash it was given."""
    planned = trivet.ok(*arguments, "--plan", "--json").json()
    done = trivet.ok(*arguments, "--expect", planned["hash"], "--json").json()
    release = trivet.ok("releases", "show", str(done["release"]), "-d", deploy, "--json").json()
    assert done["release"] == planned["release"]
    for fact in ("commit", "subject", "cause", "reason", "config_change", "origin"):
        assert release[fact] == planned[fact], fact
    if planned["build"]["id"] is not None:
        assert release["build"] == planned["build"]["id"]
    if planned["config_version"] is not None:
        assert release["config_version"] == planned["config_version"]
    running = trivet.processes(deploy=deploy, release=done["release"])
    assert sorted(process["process"] for process in running) == planned["starts"]
    if planned["start"]["address"] is not None:
        assert done["address"] == planned["start"]["address"]
    return planned


def test_a_deploy_ends_with_a_status_of_its_own_if_the_world_has_moved_since(
    deployed: Trivet, repository: Repository
) -> None:
    def fails_to_start() -> None:
        repository.commit(shop("bad", web=DIES, procfile=MIGRATED), "Break it")
        assert deployed.run("deploy").status == 40

    moves: tuple[Callable[[], object], ...] = (
        lambda: deployed.ok("deploy", "HEAD~1", "-m", "somebody else"),
        lambda: deployed.ok("config", "set", "GREETING=hello"),
        lambda: deployed.ok("scale", "web=2"),
        fails_to_start,
        lambda: repository.commit({"notes": "more"}, "Write notes"),
        lambda: deployed.ok("stop"),
    )
    for move in moves:
        expected = deployed.ok("plan", "--json").json()["hash"]
        move()
        before = deployed.ok("releases", "--json").out
        done = deployed.run("deploy", "--expect", expected)
        assert (done.status, done.out) == (32, "")
        assert OUTDATED.search(done.err), done.err
        assert deployed.ok("releases", "--json").out == before
    planned = deployed.run("plan", "--expect", expected)
    assert planned.status == 32
    assert planned.out.endswith(f"hash       {deployed.ok('plan', '--json').json()['hash']}\n")
    assert OUTDATED.sub("", planned.err) == (
        "hint:  It starts from: v3 serves, v4 is the newest, config c1. Look at it again with --plan, then give its hash. "
        "Nothing was changed.\n"
    )


def test_the_other_commands_hold_to_a_plan_as_well(deployed: Trivet) -> None:
    deployed.ok("deploy")
    commands = (
        ("rollback", "v1", "--yes"),
        ("promote", "production", "staging"),
        ("config", "set", "GREETING=hello"),
        ("config", "unset", "OLD"),
    )
    deployed.ok("config", "set", "OLD=1")
    hashes = [deployed.ok(*arguments, "--plan", "--json").json()["hash"] for arguments in commands]
    deployed.ok("promote", "production", "staging")
    deployed.ok("scale", "web=0")
    for arguments, expected in zip(commands, hashes, strict=True):
        done = deployed.run(*arguments, "--expect", expected)
        assert (done.status, done.out) == (32, ""), arguments
        assert "is another one by now" in done.err


def test_a_build_that_was_made_meanwhile_is_no_other_plan(deployed: Trivet) -> None:
    expected = deployed.ok("plan", "--json").json()["hash"]
    deployed.ok("deploy", "-d", "staging")
    found = deployed.ok("plan", "--json").json()
    assert (found["hash"], found["build"]["layers"][0]["fate"]) == (expected, "found")
    deployed.ok("deploy", "--expect", expected)


def test_a_plan_ends_as_its_command_would(deployed: Trivet, repository: Repository) -> None:
    deployed.ok("deploy", "--rebuild", "HEAD~1")
    deployed.ok("scale", "worker=1")
    done = deployed.run("plan")
    assert done.status == 40
    assert (
        "refused    The new release has no process type worker, which shop/production runs now.\n"
        "           hint: Look for a typo in the Procfile. If it is to go: trivet scale worker=0, then try again. "
        "Nothing was changed.\n"
    ) in done.out
    assert deployed.run("plan", "nosuch").status == 20
    (repository.path / "Procfile").write_text("web python3\n")
    repository.commit({}, "Mistype")
    assert deployed.run("plan").err.startswith("error: Procfile:1: ")


def test_a_plan_says_what_the_app_declares(deployed: Trivet, repository: Repository) -> None:
    declared = 'app = "shop"\n[release]\nschema = "echo two"\n[config]\nTOKEN = "required"\nSALT = "generated"\n'
    hook = repository.path / "hooks" / "pre-release"
    repository.write({"trivet.toml": declared, "hooks/pre-release": "#!/bin/sh\n"})
    hook.chmod(0o755)
    repository.commit({}, "Ask for a token")
    done = deployed.run("plan")
    assert done.status == 30
    assert (
        "config     c0 → a new version\n           + SALT\n           * SALT is secret\nhooks      pre-release\n"
        in done.out
    )
    assert "layers     app: made\n           hooks: made\n" in done.out
    assert (
        "refused    The config of shop/production is not what the app's trivet.toml asks for: TOKEN.\n"
        "           | TOKEN is missing (text)\n"
        "           hint: Set it: trivet config set TOKEN=…. Nothing was released.\n"
    ) in done.out
    deployed.ok("config", "set", "TOKEN=1", "--live")
    planned = deployed.ok("plan", "--json").json()
    assert deployed.ok("deploy", "--expect", planned["hash"]).status == 0
    deployed.ok("config", "set", "TOKEN=2")
    repository.commit({"trivet.toml": declared.replace("two", "three")}, "Migrate")
    deployed.ok("deploy")
    done = deployed.run("rollback", "v3", "--plan")
    assert done.status == 30
    assert "           = TOKEN keeps its present value (live)\n" in done.out
    assert "schema     ! the database has three since v5, this code was released with two\n" in done.out
    assert "refused" not in deployed.ok("rollback", "v3", "--plan", "--accept-schema").out


def test_a_hash_that_is_none_is_a_mistake(deployed: Trivet) -> None:
    done = deployed.run("deploy", "--expect", "v3")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "error: Invalid value for '--expect': 'v3' is not the hash of a plan, which is 32 hex digits. --plan shows it.\n"
        "hint:  `trivet deploy --help` shows how, with examples.\n"
    )


def test_what_a_rollback_left_is_not_deployed_again_by_mistake(deployed: Trivet, repository: Repository) -> None:
    deployed.ok("deploy")
    commit = repository.git("rev-parse", "HEAD")[:8]
    who = deployed.ok("releases", "--json").json()[0]["actor"]
    deployed.ok("rollback", "--yes", "-m", "too much mail")
    why = f"{commit} Send mail is in quarantine in shop/production: v3 ({who}: too much mail) left it, which was v2."
    what_to_do = (
        'Release what mends it, or say why this is to be released again: --again "REASON". `trivet rollback v2` goes back '
        "to it, too. Nothing was changed."
    )
    done = deployed.run("deploy")
    assert (done.status, done.out, done.err) == (31, "", f"error: {why}\nhint:  {what_to_do}\n")
    assert deployed.run("deploy", "--rebuild").status == 31
    planned = deployed.run("plan")
    assert planned.status == 31
    assert f"refused    {why}\n           hint: {what_to_do}\n" in planned.out
    states = [re.split("  +", line)[1] for line in deployed.ok("releases").out.splitlines()[1:]]
    assert states == ["succeeded", "superseded, quarantined", "superseded"]
    assert [each["quarantined"] for each in deployed.ok("releases", "--json").json()] == [False, True, False]

    deployed.ok("deploy", "-d", "staging")
    assert deployed.run("promote", "staging", "production").status == 31
    deployed.ok("promote", "staging", "production", "--again", "the mail server was at fault")
    newest = deployed.ok("releases", "--json").json()[0]
    assert newest["reason"] == "promote staging v1; again: the mail server was at fault"
    assert not any(each["quarantined"] for each in deployed.ok("releases", "--json").json())
    deployed.ok("deploy")


def test_a_build_comes_out_of_quarantine_by_a_rollback_to_it(deployed: Trivet) -> None:
    deployed.ok("deploy")
    deployed.ok("rollback", "--yes")
    assert deployed.run("deploy").status == 31
    deployed.ok("deploy", "--again", "once more")
    deployed.ok("rollback", "v1", "--yes")
    assert deployed.run("deploy").status == 31
    deployed.ok("rollback", "v2", "--yes")
    deployed.ok("deploy", "HEAD~1")
    deployed.ok("deploy")


def test_a_promotion_shows_what_will_change_and_asks(deployed: Trivet) -> None:
    deployed.ok("promote", "production", "staging")
    deployed.ok("config", "set", "GREETING=hello")
    deployed.ok("deploy")
    terminal = Terminal(deployed, "promote", "production", "staging")
    terminal.expect("Promote? [y/N]: ")
    shown = re.sub(r"\b[0-9a-f]{8}\b", "COMMIT", terminal.shown)
    assert (
        "Promoting shop/production v3 to shop/staging:\n"
        "  commit     COMMIT Open the shop → COMMIT Send mail\n"
        "  commits    + COMMIT Send mail (Ada)\n"
        "  processes  + mailer: python3 worker.py\n"
        "             - worker: python3 worker.py\n"
        "  config     the same config\n"
        "             ! GREETING: production has it\n"
    ) in shown
    terminal.type("n\n")
    assert terminal.end() == 130
    assert "Nothing was changed." in terminal.shown
    assert len(deployed.ok("releases", "-d", "staging", "--json").json()) == 1


def test_what_was_agreed_to_is_done_or_nothing(deployed: Trivet) -> None:
    deployed.ok("promote", "production", "staging")
    deployed.ok("deploy")
    terminal = Terminal(deployed, "promote", "production", "staging")
    terminal.expect("Promote? [y/N]: ")
    deployed.ok("config", "set", "GREETING=hello", "-d", "staging")
    terminal.type("y\n")
    assert terminal.end() == 32
    assert "is another one by now" in terminal.shown
    terminal = Terminal(deployed, "promote", "production", "staging")
    terminal.expect("Promote? [y/N]: ")
    terminal.type("y\n")
    assert terminal.end() == 0
    address = next(each["address"] for each in deployed.ok("apps", "--json").json() if each["deploy"] == "staging")
    assert fetch(f"{address}/")[1] == "v2 hello v3\n"


def test_a_rollback_to_a_pruned_build_is_planned_as_it_would_go(deployed: Trivet, repository: Repository) -> None:
    deployed.ok("deploy")
    repository.commit(shop("v3"), "Third")
    deployed.ok("deploy")
    for document in deployed.home.glob("apps/*/builds/*/build.json"):
        os.utime(document, (1, 1))
    assert "layers     app: checked out again from what is stored, " in deployed.ok("rollback", "v1", "--plan").out
    deployed.ok("prune", "--keep", "1")
    done = deployed.run("rollback", "v1", "--plan")
    assert done.status == 30
    assert "layers     app: made, " in done.out
    assert "refused    The build " in done.out
    assert "refused" not in deployed.ok("rollback", "v1", "--plan", "--rebuild").out
