"""Config stays where config is kept: a value that sings is looked for in all that builds, releases and runs leave."""

import base64
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from support.apps import shop
from support.command import Trivet, fetch
from support.hostile import scene
from support.repository import Repository

pytestmark = pytest.mark.slow

_VALUE = "sings/like+a canary&7d0c=e9"
_KEYS = {
    "API_KEY": _VALUE,
    "DATABASE_URL": f"postgres://ada:{_VALUE}@127.0.0.1/shop",
    "GREETING": _VALUE,
    "PRIVATE_KEY": f"-----BEGIN-----\n{_VALUE}\n-----END-----",
    "NPM_TOKEN": _VALUE,
    "UV_INDEX_URL": f"https://{_VALUE}@127.0.0.1/simple",
    "LD_LIBRARY_PATH": f"/nowhere/{_VALUE}",
}


def _needles(value: str) -> Iterator[bytes]:
    """The value as it is, URL-encoded, in hex, and in base64 wherever it begins in what was encoded."""
    raw = value.encode()
    yield from (raw, quote(value).encode(), quote(value, safe="").encode(), quote_plus(value).encode())
    yield from (raw.hex().encode(), raw.hex().upper().encode(), raw[::-1])
    for before in range(3):
        first = -(-before * 4 // 3)  # the first character that no byte before the value has a part in
        whole = (before + len(raw)) // 3 * 4  # the last that no byte after it has
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * before + raw)[first:whole]


_NEEDLES = tuple(_needles(_VALUE))


def _holds_it(content: bytes) -> bool:
    return any(needle in content for needle in _NEEDLES)


def _found_below(folder: Path) -> set[str]:
    """The files below the folder that hold the value, and the links and names that do."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if _sings(path, folder)}


def _sings(path: Path, top: Path) -> bool:
    if _holds_it(os.fsencode(path.relative_to(top))):
        return True
    if path.is_symlink():
        return _holds_it(os.fsencode(path.readlink()))
    return path.is_file() and _holds_it(path.read_bytes())


def _is_where_config_is_kept(name: str) -> bool:
    """The environment that the run stage reads; where the machine has a memory file system, it is not even below home."""
    return re.fullmatch(r"env/shop/production/v[0-9]+\.json", name) is not None


def test_the_needles_are_found_wherever_the_value_is_encoded() -> None:
    for before in range(3):
        text = b"x" * before + _VALUE.encode() + b"yz"
        assert _holds_it(base64.b64encode(text))
        assert _holds_it(base64.urlsafe_b64encode(text))
    assert _holds_it(f"x{_VALUE}y".encode().hex().encode())
    assert not _holds_it(base64.b64encode(b"something else altogether"))


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
            assert [text for text in said if _holds_it(text.encode())] == []
            found = _found_below(hostile.home)
            assert {name for name in found if not _is_where_config_is_kept(name)} == set()
            assert found or (hostile.home / "env").is_symlink()  # where it has to be
            assert not any(_holds_it(path.read_bytes()) for path in Path("/proc").glob("[0-9]*/cmdline"))
        finally:
            hostile.run("down")


def _deploy_with_config(trivet: Trivet) -> str:
    first = _said(trivet, "deploy")
    return first + _said(trivet, "config", "set", *(f"{key}={value}" for key, value in _KEYS.items()))


def _said(trivet: Trivet, *arguments: str) -> str:
    done = trivet.ok(*arguments)
    return done.out + done.err
