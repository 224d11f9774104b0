"""Config that trivet.toml declares: a release without it is refused before anything starts, naming every key."""

import pytest

from support.apps import SETTINGS, shop
from support.command import Trivet, fetch
from support.repository import Repository

DECLARED = """
[config]
TOKEN = "required"
SECRET_KEY = "generated"

[config.DATABASE_URL]
type = "url"
live = true
description = "where the orders are kept"

[config.GREETING]
default = "good day"
"""
REFUSED = (
    "error: The config of shop/production is not what the app's trivet.toml asks for: TOKEN, DATABASE_URL.\n"
    "  | TOKEN is missing (text)\n"
    "  | DATABASE_URL is missing (url): where the orders are kept\n"
    "hint:  Set them all at once: trivet config set TOKEN=… DATABASE_URL=…. Nothing was released.\n"
)


@pytest.fixture
def declaring(trivet: Trivet, repository: Repository) -> Trivet:
    """A shop that declares config, not deployed yet."""
    repository.commit(shop("v1", settings=SETTINGS + DECLARED), "Declare")
    return trivet


@pytest.fixture
def deployed(declaring: Trivet) -> Trivet:
    """The same, deployed with what it asks for."""
    declaring.ok("config", "set", "TOKEN=t", "DATABASE_URL=postgres://db/shop")
    declaring.ok("deploy")
    return declaring


def test_a_first_deploy_without_its_config_is_refused_before_it_is_built(declaring: Trivet) -> None:
    done = declaring.run("deploy")
    assert (done.status, done.out, done.err) == (30, "", REFUSED)
    assert declaring.ok("builds", "--json").json() == []
    assert declaring.ok("apps", "--json").json() == []


def test_a_value_that_is_generated_is_made_once_and_a_default_is_no_config(
    declaring: Trivet, repository: Repository
) -> None:
    declaring.ok("config", "set", "TOKEN=t", "DATABASE_URL=postgres://db/shop")
    declaring.ok("deploy")
    made = declaring.ok("run", "printenv", "SECRET_KEY").out
    assert len(made) == 65
    assert fetch(declaring.url)[1] == "v1 good day v1\n"
    assert "config     c2 (added DATABASE_URL, SECRET_KEY, TOKEN; " in declaring.ok("releases", "show", "v1").out
    assert declaring.ok("config", "--json").json() == {
        "DATABASE_URL": {"value": None, "secret": False, "live": True},
        "SECRET_KEY": {"value": None, "secret": True, "live": False},
        "TOKEN": {"value": None, "secret": False, "live": False},
    }
    repository.commit({"trivet.toml": SETTINGS + DECLARED.replace("good day", "good evening")})
    declaring.ok("deploy")
    assert fetch(declaring.url)[1] == "v1 good evening v2\n"
    assert declaring.ok("run", "printenv", "SECRET_KEY").out == made
    declaring.ok("rollback", "--yes")
    assert fetch(declaring.url)[1] == "v1 good day v3\n"
    assert declaring.ok("run", "printenv", "SECRET_KEY").out == made


def test_a_change_that_does_not_fit_the_running_build_is_refused(deployed: Trivet) -> None:
    before = deployed.pids()
    done = deployed.run("config", "unset", "TOKEN")
    assert (done.status, done.out) == (30, "")
    assert done.err == (
        "error: The config of shop/production is not what the app's trivet.toml asks for: TOKEN.\n"
        "  | TOKEN is missing (text)\n"
        "hint:  Set it: trivet config set TOKEN=…. Nothing was released.\n"
    )
    done = deployed.run("config", "set", "DATABASE_URL=hunter2", "OTHER=1")
    assert (done.status, done.out) == (30, "")
    assert done.err == (
        "error: The config of shop/production is not what the app's trivet.toml asks for: DATABASE_URL.\n"
        "  | DATABASE_URL is no url: where the orders are kept\n"
        "hint:  Set it: trivet config set DATABASE_URL=…. Nothing was released.\n"
    )
    done = deployed.run("config", "mark", "SECRET_KEY", "--no-secret")
    assert (done.status, done.out) == (30, "")
    assert done.err == (
        "error: SECRET_KEY is declared secret in the app's trivet.toml.\n"
        "hint:  Change it there, commit, and deploy; then take the mark off. Nothing was changed.\n"
    )
    assert len(deployed.ok("releases", "--json").json()) == 1
    assert deployed.pids() == before


def test_a_promotion_to_a_deploy_without_the_config_is_refused(deployed: Trivet) -> None:
    done = deployed.run("promote", "production", "staging")
    assert (done.status, done.out) == (30, "")
    assert done.err.endswith(
        REFUSED.replace("shop/production", "shop/staging").replace("DATABASE_URL=…", "DATABASE_URL=… -d staging")
    )
    assert deployed.ok("releases", "--json", "-d", "production").json()[0]["state"] == "succeeded"


def test_a_rollback_to_a_build_that_a_live_value_does_not_fit_is_refused(
    deployed: Trivet, repository: Repository
) -> None:
    repository.commit({"trivet.toml": SETTINGS + DECLARED.replace('type = "url"\n', "")})
    deployed.ok("deploy")
    deployed.ok("config", "set", "DATABASE_URL=shop.db")
    before = deployed.pids()
    done = deployed.run("rollback", "v1", "--yes")
    assert (done.status, done.out) == (30, "")
    assert "DATABASE_URL is no url" in done.err
    assert deployed.pids() == before
    deployed.ok("config", "set", "DATABASE_URL=postgres://other/shop")
    deployed.ok("rollback", "v1", "--yes")
    assert deployed.ok("run", "printenv", "DATABASE_URL").out == "postgres://other/shop\n"
