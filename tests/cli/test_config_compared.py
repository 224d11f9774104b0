"""`trivet config check` and `trivet config diff`: names of keys and how they stand, never a value."""

import pytest

from support.apps import SETTINGS, shop
from support.command import Trivet
from support.repository import Repository

DECLARED = """
[config]
TOKEN = "required"
SECRET_KEY = "generated"
REGION = "optional"

[config.DATABASE_URL]
type = "url"
live = true
description = "where the orders are kept"

[config.WORKERS]
type = "int"
default = 2
"""


@pytest.fixture
def deployed(trivet: Trivet, repository: Repository) -> Trivet:
    """A shop that declares config, with what it asks for and a key more."""
    repository.commit(shop("v1", settings=SETTINGS + DECLARED), "Declare")
    trivet.ok("config", "set", "TOKEN=hunter2", "DATABASE_URL=postgres://db/shop", "MINE=1")
    trivet.ok("deploy")
    return trivet


def test_every_key_is_shown_as_it_stands(deployed: Trivet, repository: Repository) -> None:
    assert deployed.ok("config", "check").out == (
        "KEY           STATE         TYPE  MARKS   DESCRIPTION\n"
        "TOKEN         set           text\n"
        "SECRET_KEY    set           text  secret\n"
        "REGION        not set       text\n"
        "DATABASE_URL  set           url   live    where the orders are kept\n"
        "WORKERS       the default   int\n"
        "MINE          not declared\n"
    )
    repository.commit({"trivet.toml": f'{SETTINGS}{DECLARED}\n[config.MINE]\ntype = "url"\n\n[config.LOST]\n'})
    done = deployed.run("config", "check", "HEAD")
    assert done.status == 30
    assert "MINE          not of its type  url\nLOST          missing          text\n" in done.out
    assert done.err == (
        "error: The config of shop/production is not what the app's trivet.toml asks for: MINE, LOST.\n"
        "  | MINE is no url\n"
        "  | LOST is missing (text)\n"
        "hint:  Set them all at once: trivet config set MINE=… LOST=…. Nothing was released.\n"
    )
    checked = deployed.run("config", "check", "HEAD", "--json").json()
    assert {each["key"]: each["state"] for each in checked} == {
        "TOKEN": "set",
        "SECRET_KEY": "set",
        "REGION": "unset",
        "DATABASE_URL": "set",
        "WORKERS": "default",
        "MINE": "mistyped",
        "LOST": "missing",
    }
    assert checked[3] == {
        "key": "DATABASE_URL",
        "state": "set",
        "is_unfit": False,
        "type": "url",
        "required": True,
        "description": "where the orders are kept",
        "marks": ["live"],
    }


def test_what_is_not_deployed_yet_is_checked_against_a_commit(trivet: Trivet, repository: Repository) -> None:
    repository.commit(shop("v1", settings=SETTINGS + DECLARED), "Declare")
    done = trivet.run("config", "check")
    assert (done.status, done.out) == (30, "")
    assert done.err == (
        "error: shop/production has no good release whose build would declare config.\n"
        "hint:  `trivet config check HEAD`, in the repository, checks against what that commit declares.\n"
    )
    done = trivet.run("config", "check", "HEAD")
    assert done.status == 30
    assert "SECRET_KEY    will be generated  text\n" in done.out


def test_configs_are_compared_by_name(deployed: Trivet) -> None:
    deployed.ok("config", "set", "TOKEN=other", "NEW=1")
    deployed.ok("config", "mark", "TOKEN", "--secret")
    deployed.ok("config", "unset", "MINE")
    assert deployed.ok("config", "diff", "v1", "v3").out == (
        "config  shop/production v1 → shop/production v3\n"
        "keys    + NEW\n"
        "        ~ TOKEN\n"
        "        * TOKEN is secret\n"
        "equal   3 of the same value\n"
    )
    assert deployed.ok("config", "diff", "v4").out == (
        "config  shop/production v4 → shop/production\nkeys    the same config\nequal   4 of the same value\n"
    )
    deployed.ok("config", "set", "-d", "staging", "TOKEN=other", "ONLY=here")
    compared = deployed.ok("config", "diff", "-d", "staging", "--with", "production", "--json")
    assert compared.json() == {
        "old": {"app": "shop", "deploy": "staging", "release": None},
        "new": {"app": "shop", "deploy": "production", "release": None},
        "added": ["DATABASE_URL", "NEW", "SECRET_KEY"],
        "changed": [],
        "removed": ["ONLY"],
        "marks": {"DATABASE_URL": ["live"], "SECRET_KEY": ["secret"], "TOKEN": ["secret"]},
        "equal": ["TOKEN"],
    }
    assert "other" not in compared.out


@pytest.mark.parametrize(
    ("arguments", "status", "err"),
    [
        (
            (),
            2,
            (
                "error: Nothing to compare with. Give a release, two, or --with DEPLOY.\n"
                "hint:  `trivet config diff --help` shows how, with examples.\n"
            ),
        ),
        (("v9",), 30, "error: shop/production has no release v9.\nhint:  It has v1 to v1.\n"),
        (
            ("--with", "staging"),
            2,
            (
                "error: The app shop has no deploy 'staging'.\n"
                "hint:  It has: production. The first `trivet deploy -d staging` makes it.\n"
            ),
        ),
    ],
)
def test_what_cannot_be_compared_is_told_in_words(
    deployed: Trivet, arguments: tuple[str, ...], status: int, err: str
) -> None:
    done = deployed.run("config", "diff", *arguments)
    assert (done.status, done.out, done.err) == (status, "", err)
