"""Which key a person logged in with, told as ssh-keygen tells it."""

import subprocess
from pathlib import Path

import pytest

from support.toolchains import needs
from trivet.host.ssh_login import login_key


@needs("ssh-keygen")
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("certified", [False, True], ids=["key", "certificate"])
def test_the_fingerprint_is_the_one_that_ssh_keygen_shows(tmp_path: Path, kind: str, certified: bool) -> None:
    for name, of in (("key", kind), ("authority", "ed25519")):
        _ssh_keygen("-q", "-t", of, "-N", "", "-f", str(tmp_path / name))
    _ssh_keygen("-q", "-s", str(tmp_path / "authority"), "-I", "ada", "-n", "ada", str(tmp_path / "key.pub"))
    shown = _ssh_keygen("-l", "-f", str(tmp_path / "key.pub")).split()[1]
    public = (tmp_path / ("key-cert.pub" if certified else "key.pub")).read_text()
    told = tmp_path / "told"
    told.write_text(f"password\npublickey {' '.join(public.split()[:2])}\n")
    assert login_key({"SSH_USER_AUTH": str(told)}) == shown


@pytest.mark.parametrize(
    "content",
    [
        "",
        "password\n",
        "publickey\n",
        "publickey ssh-ed25519\n",
        "publickey ssh-ed25519 not*base64\n",
        "publickey ssh-ed25519-cert-v01@openssh.com AAAA\n",
        "publickey unheard-cert-v01@openssh.com AAAA\n",
        "\xff\x00",
    ],
)
def test_what_names_no_key_is_no_key(tmp_path: Path, content: str) -> None:
    (tmp_path / "told").write_text(content, encoding="latin-1")
    assert login_key({"SSH_USER_AUTH": str(tmp_path / "told")}) is None


def test_without_a_file_there_is_no_key(tmp_path: Path) -> None:
    assert login_key({}) is None
    assert login_key({"SSH_USER_AUTH": ""}) is None
    assert login_key({"SSH_USER_AUTH": str(tmp_path / "gone")}) is None
    assert login_key({"SSH_USER_AUTH": str(tmp_path)}) is None


def _ssh_keygen(*arguments: str) -> str:
    return subprocess.run(("ssh-keygen", *arguments), capture_output=True, text=True, check=True).stdout
