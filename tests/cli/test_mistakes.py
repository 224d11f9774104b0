"""What a person can get wrong: each mistake on its whole visible output. Nothing is lost by any of them."""

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.apps import DIES, shop
from support.command import Done, Trivet, fetch
from support.repository import Repository


@pytest.fixture
def deployed(trivet: Trivet, repository: Repository) -> Iterator[Trivet]:
    """A deployed shop, which must be serving v1 from the same process afterwards."""
    repository.commit(shop("v1"), "Open the shop")
    trivet.ok("deploy")
    before = trivet.pids()
    url = trivet.url
    yield trivet
    assert trivet.pids() == before
    assert fetch(url)[1].startswith("v1 ")


def said(done: Done, status: int, message: str, hint: str) -> None:
    """The command ended with the status, wrote no result, and its last lines are the message and the hint."""
    assert done.out == ""
    assert done.err.endswith(f"error: {message}\nhint:  {hint}\n"), done.err
    assert done.status == status


def test_outside_of_a_repository(trivet: Trivet, tmp_path: Path) -> None:
    said(
        trivet.at(tmp_path).run("deploy"),
        2,
        f"Which app? {tmp_path} is not in a git repository.",
        "Name it with -a APP, or change to its folder. `trivet apps` lists them.",
    )


def test_a_folder_whose_name_cannot_be_an_apps(trivet: Trivet, tmp_path: Path) -> None:
    other = Repository(tmp_path / "My Shop_2")
    other.commit({"Procfile": "web: true\n"})
    said(
        trivet.at(other.path).run("deploy"),
        2,
        "Which app? The folder's name, 'My Shop_2', cannot be an app's name.",
        'Name it with -a APP, or put app = "my-shop-2" into trivet.toml.',
    )


def test_no_commit(trivet: Trivet, repository: Repository) -> None:
    said(
        trivet.run("deploy"),
        20,
        f"{repository.path} has no commit yet.",
        "Trivet builds commits: `git add` your files and `git commit` them.",
    )


def test_an_unknown_revision(deployed: Trivet) -> None:
    said(
        deployed.run("deploy", "nosuch"),
        20,
        f"'nosuch' is not a revision of {deployed.folder}.",
        "Name a branch, a tag or a commit. `git log --oneline --all` lists commits; `git fetch` gets new ones.",
    )


def test_a_dirty_tree_is_left_out_and_mentioned_once(deployed: Trivet, repository: Repository) -> None:
    repository.write({"server.py": "not committed"})
    done = deployed.ok("build")
    commit = repository.git("rev-parse", "HEAD")[:8]
    assert done.err.count(f"Uncommitted changes are not part of the build; it is made from {commit}.") == 1


def test_a_typo_in_the_procfile(deployed: Trivet, repository: Repository) -> None:
    repository.commit({"Procfile": "# all of it\nweb python3 server.py\n"})
    done = deployed.run("deploy")
    assert done.status == 2
    assert "error: Procfile:2: " in done.err
    assert "hint:  " in done.err


def test_a_typo_in_the_settings(deployed: Trivet, repository: Repository) -> None:
    repository.commit({"trivet.toml": 'app = "shop"\n\n[processes.web]\nheath = "/up"\n'})
    done = deployed.run("deploy")
    assert done.status == 2
    assert re.search(r"error: trivet.toml:4: .*heath", done.err)
    assert "Did you mean 'health'?" in done.err


def test_nothing_that_can_be_built(deployed: Trivet, repository: Repository) -> None:
    repository.commit(
        {"Procfile": None, "trivet.toml": 'app = "shop"\n', "worker.py": None, "server.py": None, "notes": "x"}
    )
    done = deployed.run("deploy")
    assert done.status == 20
    assert done.out == ""
    assert "Procfile" in done.err


def test_a_taken_port(deployed: Trivet) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = deployed.run("deploy", "--port", str(port))
    assert done.status == 40
    assert f"error: Port {port} is taken by process {os.getpid()} (" in done.err
    assert done.err.endswith("hint:  End that process, or choose another port: trivet deploy --port\n")


def test_rolling_back_to_what_cannot_be(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("v1"))
    trivet.ok("deploy")
    said(
        trivet.run("rollback"),
        30,
        "v1 runs, and no good release before it has another build or config.",
        "There is no good release to roll back to yet.",
    )
    trivet.ok("config", "set", "GREETING=hello")
    repository.commit(shop("v3", web=DIES))
    assert trivet.run("deploy").status == 40
    repository.commit(shop("v4"))
    trivet.ok("deploy")
    for number, why in (
        (3, "v3 failed, so it cannot be rolled back to."),
        (4, "v4 is the running release."),
        (9, "There is no release v9."),
    ):
        said(trivet.run("rollback", f"v{number}"), 30, why, "Good releases: v2, v1.")


@pytest.mark.parametrize(
    ("arguments", "status", "message", "hint"),
    [
        (
            ("config", "set", "PORT=1"),
            30,
            "PORT is set by Trivet for every process and cannot be part of the config.",
            "Choose another name. docs/reference/environment.md lists what Trivet sets.",
        ),
        (
            ("config", "set", "1A=1"),
            30,
            "'1A' is not a valid variable name.",
            "Use letters, digits and '_', not starting with a digit, for example DATABASE_URL.",
        ),
        (
            ("config", "set", "A"),
            2,
            "'A' has no value.",
            "Write KEY=VALUE; KEY= for an empty value, KEY=- for standard input. On a terminal, KEY alone asks for the value.",
        ),
        (
            ("config", "set", "A=1", "A=2"),
            2,
            "A is given twice.",
            "Give each key once. Nothing was changed.",
        ),
        (("config", "unset", "A"), 30, "shop/production has no config key A.", "It has: none. Nothing was changed."),
        (("config", "get", "A"), 30, "shop/production has no config key A.", "It has: none."),
        (
            ("releases", "show", "v7"),
            30,
            "shop/production has no release v7.",
            "It has v1 to v1.",
        ),
        (
            ("promote", "production", "production"),
            2,
            "shop/production cannot be promoted to itself.",
            "Name two deploys: trivet promote staging production",
        ),
        (
            ("scale", "clock=1"),
            40,
            "There is no process type 'clock' to scale.",
            "The release has: web, worker. The release command is never part of a formation.",
        ),
        (("scale", "web"), 2, "'web' is not TYPE=COUNT.", "Write, for example: trivet scale web=2 worker=0"),
        (("scale", "web=10000"), 2, "'web=10000' is too many: 9999 processes of a type at most.", "Choose fewer."),
        (("restart", "clock.1"), 40, "No process 'clock.1' runs in shop/production.", "These do: web.1."),
        (
            ("ps", "-d", "staging"),
            2,
            "The app shop has no deploy 'staging'.",
            "It has: production. The first `trivet deploy -d staging` makes it.",
        ),
        (
            ("ps", "-a", "../shop"),
            2,
            "'../shop' is not a name for an app.",
            (
                "Use lower-case letters, digits and single dashes between them, starting with a letter, "
                "at most 40 characters, for example 'shop' or 'my-shop-2'."
            ),
        ),
        (
            ("builds", "show", "nosuch"),
            20,
            "shop has no build 'nosuch'.",
            "`trivet builds` lists the builds of an app.",
        ),
        (
            ("apps", "destroy", "shop"),
            2,
            "The name was not confirmed; nothing was removed.",
            "Type it when asked, or give --confirm shop.",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_told_in_words(
    deployed: Trivet, arguments: tuple[str, ...], status: int, message: str, hint: str
) -> None:
    said(deployed.run(*arguments), status, message, hint)


def test_a_dotenv_file_with_a_line_that_cannot_be_read(deployed: Trivet, repository: Repository) -> None:
    repository.write({"production.env": "A=1\nB='two\n"})
    said(
        deployed.run("config", "set", "--file", "production.env"),
        2,
        "production.env:2: this line cannot be read.",
        "Write KEY=value, KEY='value with spaces', or # and a comment. Nothing was changed.",
    )
