"""A config against what a build declares: what is refused, and what a release adds."""

import pytest

from trivet.errors import UnfitConfig
from trivet.model.config import Config
from trivet.model.declaration import Declaration, ValueType
from trivet.model.names import Deploy, parse_deploy_name
from trivet.release import Finding, KeyState, check_declared, complete, examine

DATABASE = Declaration("DATABASE_URL", ValueType.URL, description="where the orders are kept")
WORKERS = Declaration("WORKERS", ValueType.INT, is_required=False, default="4")
SECRET_KEY = Declaration("SECRET_KEY", is_required=False, is_generated=True, secret=True)
TOKEN = Declaration("TOKEN", is_required=False, live=True)
DECLARED = (DATABASE, WORKERS, SECRET_KEY, TOKEN)


def test_every_key_that_is_missing_or_mistyped_is_named_at_once(deploy: Deploy) -> None:
    staging = Deploy(deploy.app, parse_deploy_name("staging"))
    with pytest.raises(UnfitConfig) as raised:
        check_declared(staging, DECLARED, Config({"WORKERS": "hunter2"}))
    error = raised.value
    assert (
        error.message == "The config of shop/staging is not what the app's trivet.toml asks for: DATABASE_URL, WORKERS."
    )
    assert error.detail == ("DATABASE_URL is missing (url): where the orders are kept", "WORKERS is no int")
    assert error.hint == (
        "Set them all at once: trivet config set DATABASE_URL=… WORKERS=… -d staging. Nothing was released."
    )
    assert "hunter2" not in str(vars(error))


def test_a_value_is_generated_where_there_is_none_and_kept() -> None:
    first = complete(DECLARED, Config({"DATABASE_URL": "postgres://db/shop", "TOKEN": "t"}))
    assert (first.secret, first.live) == (("SECRET_KEY",), ("TOKEN",))
    assert len(first.values["SECRET_KEY"]) == 64
    assert "WORKERS" not in first.values
    assert complete(DECLARED, first) == first


def test_two_deploys_have_not_the_same_generated_value() -> None:
    made = {complete(DECLARED, Config({"DATABASE_URL": "postgres://db/shop"})).values["SECRET_KEY"] for _ in range(2)}
    assert len(made) == 2


def test_every_key_is_told_how_it_stands() -> None:
    optional = Declaration("REGION", is_required=False)
    config = Config({"TOKEN": "t", "MINE": "x", "DATABASE_URL": "nowhere"})
    assert examine((*DECLARED, optional, Declaration("LOST")), config) == (
        Finding("DATABASE_URL", KeyState.MISTYPED, DATABASE),
        Finding("WORKERS", KeyState.DEFAULT, WORKERS),
        Finding("SECRET_KEY", KeyState.TO_GENERATE, SECRET_KEY),
        Finding("TOKEN", KeyState.SET, TOKEN),
        Finding("REGION", KeyState.UNSET, optional),
        Finding("LOST", KeyState.MISSING, Declaration("LOST")),
        Finding("MINE", KeyState.UNDECLARED),
    )
