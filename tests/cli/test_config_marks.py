"""Config that is marked secret or live: what is shown of it, and what a rollback leaves as it is."""

import pytest

from support.apps import DIES, shop
from support.command import Trivet
from support.repository import Repository
from support.terminal import Terminal

SECRET = "hunter2 and more"


@pytest.fixture
def deployed(trivet: Trivet, repository: Repository) -> Trivet:
    """A shop whose v2 has a secret TOKEN and a GREETING."""
    repository.commit(shop("v1"), "Open the shop")
    trivet.ok("deploy")
    trivet.ok("config", "set", "--secret", "TOKEN=-", input=SECRET)
    trivet.ok("config", "set", "GREETING=hello")
    return trivet


def test_the_value_of_a_secret_key_is_never_shown_again(deployed: Trivet) -> None:
    assert deployed.ok("config").out == ("KEY       VALUE     MARKS\nGREETING  ••••••••\nTOKEN     ••••••••  secret\n")
    assert deployed.ok("config", "--reveal").out == (
        "KEY       VALUE     MARKS\nGREETING  hello\nTOKEN     ••••••••  secret\n"
    )
    assert deployed.ok("config", "--reveal", "--json").json() == {
        "GREETING": {"value": "hello", "secret": False, "live": False},
        "TOKEN": {"value": None, "secret": True, "live": False},
    }
    for arguments in (("config", "get", "TOKEN"), ("config", "get", "TOKEN", "--json")):
        done = deployed.run(*arguments)
        assert (done.status, done.out) == (30, "")
        assert done.err == (
            "error: TOKEN is marked secret, so its value is not shown.\n"
            "hint:  The app has it, and so has whoever may run a command in its environment: `trivet run env`.\n"
        )
    assert deployed.ok("run", "printenv", "TOKEN").out == f"{SECRET}\n"


def test_marks_are_kept_put_on_and_taken_off_each_on_record(deployed: Trivet) -> None:
    deployed.ok("config", "set", "TOKEN=other")  # it stays secret
    assert deployed.ok("config", "--reveal", "--json").json()["TOKEN"]["secret"] is True
    deployed.ok("config", "mark", "TOKEN", "GREETING", "--live")
    deployed.ok("config", "mark", "TOKEN", "--no-secret", "--no-live")
    assert deployed.ok("config", "get", "TOKEN").out == "other\n"
    newest, before, *_ = deployed.ok("releases", "--json").json()
    assert before["reason"] == "mark GREETING live; mark TOKEN secret, live"
    assert newest["reason"] == "take the marks off TOKEN"
    shown = deployed.ok("releases", "show", f"v{before['release']}").out
    assert "(GREETING is live; TOKEN is secret, live)\n" in shown
    assert (
        "  * TOKEN has no mark" in deployed.ok("releases", "diff", f"v{before['release']}", f"v{newest['release']}").out
    )
    assert deployed.ok("config", "mark", "TOKEN", "--no-live").out == (
        "shop/production has these values already; nothing changed\n"
    )


@pytest.mark.parametrize(
    ("arguments", "status", "err"),
    [
        (
            ("mark", "TOKEN"),
            2,
            (
                "error: Nothing to mark. Give --secret, --live, --no-secret or --no-live.\n"
                "hint:  `trivet config mark --help` shows how, with examples.\n"
            ),
        ),
        (
            ("mark", "NOSUCH", "TOKEN", "--live"),
            30,
            "error: shop/production has no config key NOSUCH.\nhint:  It has: GREETING, TOKEN. Nothing was changed.\n",
        ),
    ],
)
def test_a_mistake_with_marks_is_told_in_words(
    deployed: Trivet, arguments: tuple[str, ...], status: int, err: str
) -> None:
    done = deployed.run("config", *arguments)
    assert (done.status, done.out, done.err) == (status, "", err)


def test_a_live_key_keeps_its_present_value_in_a_rollback(deployed: Trivet) -> None:
    deployed.ok("config", "set", "A=1", "DB=old", "GONE=x")
    good = f"v{deployed.ok('releases', '--json').json()[0]['release']}"
    deployed.ok("config", "unset", "GONE")
    deployed.ok("config", "set", "--live", "DB=rotated")
    deployed.ok("config", "set", "A=2", "NEW=1", "--secret")
    terminal = Terminal(deployed, "rollback", good)
    terminal.expect("Roll back? [y/N]: ")
    assert (
        f"  config     ~ A goes back to its value of {good}\n"
        "             = DB keeps its present value (live)\n"
        f"             + GONE comes back as it was in {good}\n"
        "             - NEW is taken away\n"
    ) in terminal.shown
    assert "rotated" not in terminal.shown
    terminal.type("y\n")
    assert terminal.end() == 0
    assert deployed.ok("run", "sh", "-c", "echo $A $DB $GONE $NEW").out == "1 rotated x\n"
    listed = deployed.ok("config", "--json").json()
    assert [key for key, each in listed.items() if each["secret"]] == ["A", "TOKEN"]
    assert [key for key, each in listed.items() if each["live"]] == ["DB"]
    assert deployed.ok("releases", "verify").status == 0


def test_a_release_that_differs_by_a_live_value_alone_is_nothing_to_go_back_to(deployed: Trivet) -> None:
    deployed.ok("config", "set", "--live", "TOKEN=rotated")
    shown = deployed.ok("rollback", "--yes").err
    assert "Rolling back shop/production to v2:" in shown  # v3 is what runs, but for what is live
    assert "- GREETING is taken away" in shown
    assert "= TOKEN keeps its present value (live)" in shown


def test_marked_config_that_the_app_does_not_come_up_with_is_not_kept(trivet: Trivet, repository: Repository) -> None:
    picky = "import os\nif os.environ.get('TOKEN') == 'wrong':\n" + "".join(
        f"    {line}\n" for line in DIES.strip().splitlines()
    )
    files = shop("v1")
    repository.commit({**files, "server.py": picky + str(files["server.py"])})
    trivet.ok("deploy")
    before = trivet.pids()
    done = trivet.run("config", "set", "--secret", "--live", "TOKEN=wrong", "OTHER=1")
    assert done.status == 40
    assert trivet.pids() == before
    assert trivet.ok("config", "--json").json() == {}
    failed, good = trivet.ok("releases", "--json").json()
    assert (failed["state"], failed["reason"]) == (
        "failed",
        "set OTHER, TOKEN; mark OTHER secret, live; mark TOKEN secret, live",
    )
    assert good["state"] == "succeeded"


def test_a_key_alone_asks_for_its_value_without_showing_it(deployed: Trivet) -> None:
    terminal = Terminal(deployed, "config", "set", "--secret", "PASSWORD")
    terminal.expect("Value of PASSWORD: ")
    terminal.type("open sesame\n")
    assert terminal.end() == 0
    assert "open sesame" not in terminal.shown
    assert deployed.ok("run", "printenv", "PASSWORD").out == "open sesame\n"


def test_a_key_that_cannot_be_is_refused_before_its_value_is_asked_for(deployed: Trivet) -> None:
    terminal = Terminal(deployed, "config", "set", "PORT")
    assert terminal.end() == 30
    assert "Value of" not in terminal.shown
    assert "PORT is set by Trivet for every process and cannot be part of the config." in terminal.shown
