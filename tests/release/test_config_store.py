"""Config versions, and which of them is current."""

from collections.abc import Callable

import pytest

from trivet.errors import ConfigError
from trivet.model.config import Config, ConfigVersion, parse_config
from trivet.model.home import Home
from trivet.model.names import Deploy, parse_deploy_name
from trivet.model.release import Act, Actor, Draft, Outcome, State
from trivet.release import ConfigStore, Ledger

GOOD, BAD = Outcome(State.SUCCEEDED), Outcome(State.FAILED, "web.1 exited with 1")

Releasing = Callable[[ConfigVersion, Outcome], None]


@pytest.fixture
def released(ledger: Ledger, draft: Callable[..., Draft]) -> Releasing:
    """A release of a config version, with its outcome."""

    def release(version: ConfigVersion, outcome: Outcome) -> None:
        made = ledger.append(draft(config_version=version.version), version.config)
        ledger.conclude(made.deploy, made.number, outcome)

    return release


def test_a_deploy_starts_with_the_empty_config(store: ConfigStore, deploy: Deploy) -> None:
    assert store.current(deploy) == ConfigVersion(0, Config())
    assert store.at(deploy, 0) == ConfigVersion(0, Config())


def test_versions_count_from_one_in_each_deploy(store: ConfigStore, deploy: Deploy) -> None:
    staging = Deploy(deploy.app, parse_deploy_name("staging"))
    added = [
        store.add(to, Config({"A": value})).version for to, value in ((deploy, "1"), (staging, "1"), (deploy, "2"))
    ]
    assert added == [1, 1, 2]
    assert store.at(deploy, 1).config == Config({"A": "1"})
    assert store.at(staging, 1).config == Config({"A": "1"})


@pytest.mark.parametrize("value", ["", "two\nlines\n", "☕ naïve", "a'b\"c\\d", "x" * 100_000, "\x01\x7f\u2028"])
def test_a_value_comes_back_as_it_was(store: ConfigStore, deploy: Deploy, value: str) -> None:
    store.add(deploy, Config({"KEY": value}))
    assert store.at(deploy, 1).config.values == {"KEY": value}


def test_the_newest_config_again_is_no_new_version(store: ConfigStore, deploy: Deploy) -> None:
    assert store.add(deploy, Config()) == ConfigVersion(0, Config())
    store.add(deploy, Config({"A": "1", "B": "2"}))
    assert store.add(deploy, Config({"B": "2", "A": "1"})).version == 1
    assert store.add(deploy, Config({"A": "1"})).version == 2
    assert store.add(deploy, Config({"A": "1", "B": "2"})).version == 3


def test_a_config_that_differs_by_a_mark_alone_is_a_new_version(store: ConfigStore, deploy: Deploy) -> None:
    values = {"A": "1", "B": "2"}
    store.add(deploy, Config(values))
    marked = Config(values, secret=("A",), live=("A", "B"))
    assert store.add(deploy, marked).version == 2
    assert store.at(deploy, 1).config == Config(values)
    assert store.at(deploy, 2).config == marked


def test_before_the_first_good_release_the_newest_config_is_current(
    store: ConfigStore, deploy: Deploy, released: Releasing
) -> None:
    store.add(deploy, Config({"A": "1"}))
    newest = store.add(deploy, Config({"A": "2"}))
    assert store.current(deploy) == newest
    released(newest, BAD)
    assert store.current(deploy) == newest


def test_a_config_that_failed_is_not_current_but_kept(store: ConfigStore, deploy: Deploy, released: Releasing) -> None:
    good = store.add(deploy, Config({"A": "1"}))
    released(good, GOOD)
    failed = store.add(deploy, Config({"A": "broken"}))
    assert store.current(deploy) == good
    released(failed, BAD)
    assert store.current(deploy) == good
    assert store.at(deploy, failed.version) == failed


def test_after_a_rollback_the_old_config_is_current(store: ConfigStore, deploy: Deploy, released: Releasing) -> None:
    first = store.add(deploy, Config({"A": "1"}))
    released(first, GOOD)
    second = store.add(deploy, Config({"A": "2"}))
    released(second, GOOD)
    assert store.current(deploy) == second
    released(first, GOOD)
    assert store.current(deploy) == first


def test_an_unknown_version_is_told_the_newest(store: ConfigStore, deploy: Deploy) -> None:
    with pytest.raises(ConfigError) as caught:
        store.at(deploy, 1)
    assert caught.value.message == "shop/production has no config version 1."
    assert caught.value.hint == "It has no config yet: `trivet config set KEY=VALUE`."
    store.add(deploy, Config({"A": "1"}))
    with pytest.raises(ConfigError) as caught:
        store.at(deploy, 7)
    assert caught.value.message == "shop/production has no config version 7."
    assert caught.value.hint == "The newest is 1."


def test_a_destroyed_deploy_begins_with_the_empty_config_again(
    home: Home, ledger: Ledger, store: ConfigStore, deploy: Deploy, actor: Actor
) -> None:
    store.add(deploy, Config({"A": "1"}))
    ledger.destroy(deploy, Act(actor))
    assert store.current(deploy).version == 0
    with pytest.raises(ConfigError, match="has no config version 1"):
        store.at(deploy, 1)
    assert store.add(deploy, Config({"A": "1"})).version == 2
    assert store.current(deploy) == ConfigVersion(2, Config({"A": "1"}))


def test_a_value_that_is_no_text_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({"KEY": "caf\udce9"})
    assert caught.value.message == "The value of KEY is not UTF-8 text."
    assert caught.value.hint == "Encode it, for example with base64, and decode it in the app."
