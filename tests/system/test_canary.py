"""Config stays where config is kept: a value that sings is looked for in all that builds, releases and runs leave."""

import base64
import os
import re
from pathlib import Path

import pytest

from support.apps import shop
from support.canary import VALUE, command_lines_with_it, found_below, holds_it
from support.command import Trivet, fetch
from support.hostile import scene
from support.repository import Repository

pytestmark = pytest.mark.slow

_KEYS = {
    "API_KEY": VALUE,
    "DATABASE_URL": f"postgres://ada:{VALUE}@127.0.0.1/shop",
    "GREETING": VALUE,
    "PRIVATE_KEY": f"-----BEGIN-----\n{VALUE}\n-----END-----",
    "NPM_TOKEN": VALUE,
    "UV_INDEX_URL": f"https://{VALUE}@127.0.0.1/simple",
    "LD_LIBRARY_PATH": f"/nowhere/{VALUE}",
}


def _is_where_config_is_kept(name: str) -> bool:
    """The environment that the run stage reads; where the machine has a memory file system, it is not even below home."""
    return re.fullmatch(r"env/shop/production/v[0-9]+\.json", name) is not None


def test_the_needles_are_found_wherever_the_value_is_encoded() -> None:
    for before in range(3):
        text = b"x" * before + VALUE.encode() + b"yz"
        assert holds_it(base64.b64encode(text))
        assert holds_it(base64.urlsafe_b64encode(text))
    assert holds_it(f"x{VALUE}y".encode().hex().encode())
    assert not holds_it(base64.b64encode(b"something else altogether"))


def test_a_value_of_the_config_is_nowhere_but_in_the_config(tmp_path: Path) -> None:
    with scene(os.geteuid()) as machine:
        hostile = Trivet(tmp_path / "home", machine.repository.path)
        honest = hostile.at(tmp_path / "honest")
        repository = Repository(tmp_path / "honest")
        repository.commit(shop("v1"))
        said = [_deploy_with_config(hostile), _deploy_with_config(honest)]
        try:
            for trivet, commits in ((hostile, machine.repository), (honest, repository)):
                commits.commit({"more.txt": "more\n"})
                said.append(_said(trivet, "deploy"))
                said.append(_said(trivet, "build", "--rebuild", "-v"))
                said.append(_said(trivet, "releases", "--json") + _said(trivet, "config") + _said(trivet, "ps"))
            assert fetch(honest.url)[0] == 200
            assert [text for text in said if holds_it(text.encode())] == []
            found = found_below(hostile.home)
            assert {name for name in found if not _is_where_config_is_kept(name)} == set()
            assert found or (hostile.home / "env").is_symlink()  # where it has to be
            assert command_lines_with_it() == []
        finally:
            hostile.run("down")


def _deploy_with_config(trivet: Trivet) -> str:
    first = _said(trivet, "deploy")
    return first + _said(trivet, "config", "set", *(f"{key}={value}" for key, value in _KEYS.items()))


def _said(trivet: Trivet, *arguments: str) -> str:
    done = trivet.ok(*arguments)
    return done.out + done.err
