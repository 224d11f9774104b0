"""The key that config is sealed with: made once, found where it lies, and missed in words when it is not there."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from trivet.errors import ConfigLocked
from trivet.model.config import Config
from trivet.model.home import Home
from trivet.model.names import Deploy, parse_deploy, parse_deploy_name
from trivet.model.release import Act, Actor, Draft
from trivet.release import ConfigStore, Ledger

SECRET = "tea with milk"
GONE = "What runs goes on. If there is no copy, the values are lost: once every app that has config is destroyed, the next "


@pytest.fixture
def key(home: Home) -> Path:
    return home.keys / "config.key"


@pytest.fixture
def stored(store: ConfigStore, deploy: Deploy) -> ConfigStore:
    """A config of one secret."""
    store.add(deploy, Config({"TOKEN": SECRET}))
    return store


def _read(home: Home, deploy: Deploy) -> Config:
    with ConfigStore(home) as store:
        return store.current(deploy).config


def test_a_key_is_made_for_the_first_value_and_not_before(
    home: Home, ledger: Ledger, draft: Callable[..., Draft]
) -> None:
    ledger.append(draft(), Config())
    assert not home.keys.exists()


def test_the_key_is_its_owners_alone_and_in_ages_format(home: Home, stored: ConfigStore, key: Path) -> None:
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in (home.keys, *home.keys.iterdir())} == {
        "keys": 0o700,
        "config.key": 0o600,
        "config.recipient": 0o600,
    }
    *comments, identity = key.read_text().splitlines()
    assert all(line.startswith("# ") for line in comments)
    assert identity.startswith("AGE-SECRET-KEY-1")
    assert (home.keys / "config.recipient").read_text().strip() in comments[-1]


def test_no_value_is_readable_in_the_database_or_the_release_folder(
    home: Home, ledger: Ledger, stored: ConfigStore, draft: Callable[..., Draft], deploy: Deploy
) -> None:
    ledger.append(draft(config_version=1), Config({"TOKEN": SECRET}))
    found = [path for path in home.root.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert found == [home.environment(deploy, 1)]


@pytest.mark.skipif(shutil.which("age") is None, reason="apt-get install age")
def test_the_age_command_opens_what_is_stored(
    home: Home, ledger: Ledger, stored: ConfigStore, draft: Callable[..., Draft], deploy: Deploy, key: Path
) -> None:
    ledger.append(draft(config_version=1), Config({"TOKEN": SECRET}))
    argv = ("age", "--decrypt", "--identity", key, home.release(deploy, 1) / "env.age")
    opened = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert f'"TOKEN": "{SECRET}"' in opened.stdout


def test_a_key_that_is_lost_is_told(home: Home, stored: ConfigStore, deploy: Deploy, key: Path) -> None:
    key.unlink()
    with pytest.raises(ConfigLocked) as caught:
        _read(home, deploy)
    message = f"The key that opens the config is not there: {key} is missing, and there is no credential."
    assert caught.value.message == message
    assert GONE in caught.value.hint


def test_no_new_key_is_made_while_anything_is_sealed(
    home: Home, stored: ConfigStore, deploy: Deploy, key: Path
) -> None:
    shutil.rmtree(home.keys)
    with ConfigStore(home) as store, pytest.raises(ConfigLocked, match="is not there"):
        store.add(Deploy(deploy.app, parse_deploy_name("staging")), Config({"A": "1"}))
    assert not key.exists()


def test_once_everything_sealed_is_destroyed_a_new_key_is_made(
    home: Home, ledger: Ledger, stored: ConfigStore, deploy: Deploy, actor: Actor, key: Path
) -> None:
    key.unlink()
    ledger.destroy(deploy, Act(actor, "gone"))
    with ConfigStore(home) as store:
        store.add(deploy, Config({"TOKEN": "new"}))
    assert _read(home, deploy) == Config({"TOKEN": "new"})


def test_another_key_is_told_before_anything_is_sealed_with_it(
    home: Home, stored: ConfigStore, deploy: Deploy, key: Path, tmp_path: Path
) -> None:
    recipient = (home.keys / "config.recipient").read_text().strip()
    key.write_text(_another_key(tmp_path))
    with ConfigStore(home) as store, pytest.raises(ConfigLocked) as caught:
        store.add(Deploy(deploy.app, parse_deploy_name("staging")), Config({"A": "1"}))
    assert caught.value.message == f"The key in {key} is not the one that the config is sealed with."
    expected = f"Put the right one back: that of {recipient}. Nothing was changed, and what runs goes on."
    assert caught.value.hint == expected


@pytest.mark.parametrize("content", ["", "# nothing\n", "AGE-SECRET-KEY-1XYZ\n", "\0\xff" * 100])
def test_what_is_no_key_is_told(home: Home, stored: ConfigStore, deploy: Deploy, key: Path, content: str) -> None:
    key.write_text(content)
    with pytest.raises(ConfigLocked) as caught:
        _read(home, deploy)
    assert caught.value.message == f"{key} is not a key: it holds no age identity."


def test_what_was_altered_is_told_from_what_another_key_has_sealed(
    home: Home, stored: ConfigStore, deploy: Deploy, key: Path, tmp_path: Path
) -> None:
    (home.keys / "config.recipient").unlink()  # else the key itself is refused
    key.write_text(_another_key(tmp_path))
    with pytest.raises(ConfigLocked) as caught:
        _read(home, deploy)
    assert caught.value.message == (
        f"config version 1 of shop/production cannot be opened with the key in {key}: "
        "it was sealed with another, or altered since."
    )
    assert caught.value.hint == (
        "`trivet releases verify` tells whether it was altered. If not, put the right key back."
    )


def test_a_key_above_the_old_one_seals_what_is_new_and_the_old_one_opens_the_rest(
    home: Home, stored: ConfigStore, deploy: Deploy, key: Path, tmp_path: Path
) -> None:
    old = key.read_text()
    key.write_text(_another_key(tmp_path) + old)
    with ConfigStore(home) as store:
        store.add(deploy, Config({"TOKEN": "new"}))
        assert [store.at(deploy, version).config.values["TOKEN"] for version in (1, 2)] == [SECRET, "new"]
    key.write_text(old)
    with ConfigStore(home) as store, pytest.raises(ConfigLocked, match="config version 2"):
        store.at(deploy, 2)


def test_a_key_that_systemd_hands_over_goes_first(
    home: Home, stored: ConfigStore, deploy: Deploy, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    key.rename(credentials / "trivet-config-key")
    with pytest.raises(ConfigLocked):
        _read(home, deploy)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert _read(home, deploy) == Config({"TOKEN": SECRET})


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("systemd-creds") is None, reason="systemd-creds seals for root; CI runs as root"
)
def test_a_key_that_systemd_creds_has_sealed_is_opened_with_it(
    home: Home, stored: ConfigStore, deploy: Deploy, key: Path
) -> None:
    sealed = home.keys / "config.key.cred"
    argv = ("systemd-creds", "encrypt", "--with-key=host", "--name=trivet-config-key", key, sealed)
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"systemd-creds does not work here: {done.stderr}")
    key.unlink()
    assert _read(home, deploy) == Config({"TOKEN": SECRET})
    sealed.write_text("d2hhdCBpcyB0aGlz\n")
    with pytest.raises(ConfigLocked) as caught:
        _read(home, deploy)
    assert caught.value.message.startswith(f"{sealed} cannot be opened on this machine: ")
    assert caught.value.hint.startswith("Another machine, or another TPM, has sealed it. ")


def test_many_who_store_the_first_value_at_once_make_one_key(home: Home, deploy: Deploy) -> None:
    with ConfigStore(home):  # the tables are made
        pass
    waiting, begin = os.pipe()
    children = [_store_when_told(home, number, (waiting, begin)) for number in range(6)]
    os.close(begin)
    os.close(waiting)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6
    with ConfigStore(home) as store:
        for number in range(6):
            other = Deploy(deploy.app, parse_deploy_name(f"d{number}"))
            assert store.current(other).config.values == {"NUMBER": str(number)}


def _store_when_told(home: Home, number: int, pipe: tuple[int, int]) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.close(pipe[1])
        os.read(pipe[0], 1)
        with ConfigStore(home) as store:
            store.add(parse_deploy(f"shop/d{number}"), Config({"NUMBER": str(number)}))
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def _another_key(folder: Path) -> str:
    """The key of another installation."""
    other = Home(folder / "other")
    with ConfigStore(other) as store:
        store.add(parse_deploy("shop/production"), Config({"A": "1"}))
    return (other.keys / "config.key").read_text()
