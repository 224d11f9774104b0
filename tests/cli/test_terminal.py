"""What a person at a terminal sees and is asked."""

import pytest

from support.apps import shop
from support.command import Trivet
from support.repository import Repository
from support.terminal import Terminal


@pytest.fixture
def deployed(trivet: Trivet, repository: Repository) -> Trivet:
    """A shop with two releases: v2 has another config."""
    repository.commit(shop("v1"), "Open the shop")
    trivet.ok("deploy")
    trivet.ok("config", "set", "GREETING=hello")
    return trivet


def test_a_rollback_shows_what_will_change_and_asks(deployed: Trivet) -> None:
    terminal = Terminal(deployed, "rollback")
    terminal.expect("Roll back? [y/N]: ")
    assert "Rolling back shop/production to v1:\n" in terminal.shown
    assert "  config     - GREETING is taken away\n" in terminal.shown
    terminal.type("n\n")
    assert terminal.end() == 130
    assert "Nothing was changed." in terminal.shown
    assert len(deployed.ok("releases", "--json").json()) == 2

    terminal = Terminal(deployed, "rollback")
    terminal.expect("Roll back? [y/N]: ")
    terminal.type("y\n")
    assert terminal.end() == 0
    assert "is live at" in terminal.shown


def test_destroying_an_app_asks_for_its_name(deployed: Trivet) -> None:
    terminal = Terminal(deployed, "apps", "destroy", "shop")
    terminal.expect("Type its name: ")
    terminal.type("shpo\n")
    assert terminal.end() == 2
    assert "The name was not confirmed; nothing was removed." in terminal.shown
    terminal = Terminal(deployed, "apps", "destroy", "shop")
    terminal.expect("Type its name: ")
    terminal.type("shop\n")
    assert terminal.end() == 0
    assert deployed.ok("apps", "--json").json() == []


def test_a_deploy_is_shown_step_by_step_in_colour(deployed: Trivet, repository: Repository) -> None:
    repository.commit(shop("v3"))
    terminal = Terminal(deployed, "deploy")
    assert terminal.end() == 0
    assert "\x1b[36mbuild   \x1b[0m exporting " in terminal.shown
    assert "v3 has taken over after" in terminal.shown


def test_a_one_off_has_the_terminal(deployed: Trivet) -> None:
    terminal = Terminal(deployed, "run", "sh", "-c", "tty; read name; echo hello $name; exit 5")
    terminal.expect("/dev/pts/")
    terminal.type("Ada\n")
    assert terminal.end() == 5
    assert "hello Ada\n" in terminal.shown


def test_a_one_off_gets_ctrl_c(deployed: Trivet) -> None:
    terminal = Terminal(
        deployed, "run", "sh", "-c", "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.1; done"
    )
    terminal.expect("ready\n")
    terminal.type("\x03")
    assert terminal.end() == 9
    assert "caught" in terminal.shown


def test_following_logs_ends_quietly_with_ctrl_c(deployed: Trivet) -> None:
    terminal = Terminal(deployed, "logs", "--follow")
    terminal.expect("serving")
    terminal.type("\x03")
    assert terminal.end() == 0
    assert "Traceback" not in terminal.shown
