"""A proof of a release, checked by somebody who has the public key, the proof, and a Python without anything else."""

import base64
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import trivet
from support.command import Done, Trivet
from trivet.errors import LedgerError
from trivet.model.config import Config
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.release import Draft, Outcome, State
from trivet.release import ConfigStore, Ledger
from trivet.release.note import PrivateKey

CHECKER = Path(trivet.__file__).parent.parent.parent / "docs" / "how-to" / "check_proof.py"
GOOD, BAD = Outcome(State.SUCCEEDED), Outcome(State.FAILED, "web.1 exited with 1")
SECRET = "correct-horse-battery-staple"


@pytest.fixture
def filled(ledger: Ledger, store: ConfigStore, draft: Callable[..., Draft], deploy: Deploy) -> Ledger:
    """v1 to v5, the last one failed."""
    version = store.add(deploy, Config({"TOKEN": SECRET}))
    for outcome in (GOOD, GOOD, GOOD, GOOD, BAD):
        number = ledger.append(draft(config_version=version.version, reason="sell tea"), version.config).number
        ledger.conclude(deploy, number, outcome)
    return ledger


@pytest.fixture
def command(home: Home, filled: Ledger, tmp_path: Path) -> Trivet:
    return Trivet(home.root, tmp_path)


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., Done]:
    """The checker, copied to where a stranger has it, in a Python without packages and with an empty environment."""
    shutil.copy(CHECKER, tmp_path / "check_proof.py")

    def run(key: str, proof: str) -> Done:
        (tmp_path / "proof").write_text(proof)
        argv = (sys.executable, "-I", "-S", "check_proof.py", key, "proof")
        done = subprocess.run(
            argv,
            cwd=tmp_path,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


def test_a_stranger_sees_what_was_released(command: Trivet, check: Callable[..., Done], tmp_path: Path) -> None:
    done = command.ok("releases", "proof", "v2", "-a", "shop", "-o", "v2.tlog-proof")
    assert done.out == "v2.tlog-proof: a proof that v2 is in the ledger\n"
    proof = (tmp_path / "v2.tlog-proof").read_text()
    assert command.ok("releases", "proof", "2", "-a", "shop").out == proof
    key = command.ok("releases", "key").out
    (tmp_path / "ledger.pub").write_text(key)
    for given in (key.strip(), "ledger.pub"):
        checked = check(given, proof)
        assert (checked.status, checked.err) == (0, "")
        assert re.match(
            r"proved: entry 3 of 13 of the ledger trivet/[0-9a-f]{16}\n"
            r"shop/production v2: release, \d{4}-\d\d-\d\dT[0-9:.]+Z\n\{\n",
            checked.out,
        )
        assert '"reason": "sell tea"' in checked.out


def test_a_stranger_sees_what_became_of_it(command: Trivet, check: Callable[..., Done]) -> None:
    key = command.ok("releases", "key").out.strip()
    checked = check(key, command.ok("releases", "proof", "v5", "-a", "shop", "--outcome").out)
    assert checked.status == 0
    assert "shop/production v5: outcome, " in checked.out
    assert '"reason": "web.1 exited with 1"' in checked.out


def test_every_release_can_be_proved(filled: Ledger, check: Callable[..., Done], deploy: Deploy) -> None:
    key = filled.public_key() or ""
    for number in range(1, 6):
        assert check(key, filled.prove(deploy, number)).status == 0


def test_a_proof_tells_no_value_and_no_salt_to_test_guesses_with(filled: Ledger, deploy: Deploy) -> None:
    proof = filled.prove(deploy, 1)
    entry = base64.b64decode(proof.split("\n")[1].removeprefix("extra ")).decode()
    salt = filled.entries()[0].salt
    assert "TOKEN" not in proof
    assert SECRET not in entry
    assert len(salt) == 32
    assert salt not in entry


def _of_another_entry(proof: str) -> str:
    entry = base64.b64decode(proof.split("\n")[1].removeprefix("extra ")).replace(b"sell tea", b"sell tee")
    lines = proof.split("\n")
    return "\n".join((lines[0], f"extra {base64.b64encode(entry).decode()}", *lines[2:]))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_of_another_entry, "the entry is not in the ledger that was signed"),
        (lambda proof: proof.replace("index 2", "index 3"), "the entry is not in the ledger that was signed"),
        (lambda proof: proof.replace("index 2", "index 13"), "there is no such entry in the ledger"),
        (lambda proof: proof.replace("index 2", "index -1"), "there is no such entry in the ledger"),
        (lambda proof: re.sub(r"(index 2\n).*\n", r"\1", proof), "the path is too short"),
        (lambda proof: re.sub(r"(index 2\n)(.*\n)", r"\1\2\2", proof), "the path is too long"),
        (lambda proof: proof.replace("\n13\n", "\n12\n"), "the signature of the checkpoint is wrong"),
        (lambda proof: proof.replace("\n— trivet/", "\n— trivet+"), "the checkpoint is not signed by this key"),
        (lambda proof: proof.replace("tlog-proof@v1", "tlog-proof@v2"), "this is no proof"),
        (lambda proof: re.sub("extra .*\n", "", proof), "the proof does not hold the entry"),
        (lambda proof: "", "this is no proof"),
    ],
)
def test_a_stranger_is_not_deceived(
    filled: Ledger, check: Callable[..., Done], deploy: Deploy, change: Callable[[str], str], why: str
) -> None:
    checked = check(filled.public_key() or "", change(filled.prove(deploy, 2)))
    assert (checked.status, checked.out, checked.err) == (1, "", f"NOT PROVED: {why}\n")


def test_a_stranger_with_another_key_is_not_convinced(
    filled: Ledger, check: Callable[..., Done], deploy: Deploy
) -> None:
    own = filled.public_key() or ""
    proof = filled.prove(deploy, 2)
    same_name = PrivateKey(own.split("+")[0], b"s" * 32).public
    assert check(str(same_name), proof).err == "NOT PROVED: the checkpoint is not signed by this key\n"
    changed = own[:-3] + ("AA=" if not own.endswith("AA=") else "BB=")
    assert check(changed, proof).err == "NOT PROVED: this is no key, or no Ed25519 key\n"


def test_an_altered_ledger_proves_nothing(home: Home, filled: Ledger, deploy: Deploy) -> None:
    with closing(sqlite3.connect(home.database)) as connection:
        connection.execute("DROP TRIGGER ledger_refuse_update")
        connection.execute("UPDATE ledger SET body = replace(body, 'sell tea', 'sell tee') WHERE position = 3")
        connection.commit()
    with pytest.raises(LedgerError) as caught:
        filled.prove(deploy, 2)
    assert caught.value.message == "Entry 3 cannot be proved: the ledger was altered."
    assert caught.value.hint == "`trivet releases verify` says where."
    assert filled.prove(deploy, 3)


def test_what_cannot_be_proved_is_said(command: Trivet, filled: Ledger, draft: Callable[..., Draft]) -> None:
    done = command.run("releases", "proof", "v9", "-a", "shop")
    assert (done.status, done.err) == (
        30,
        "error: shop/production has no release v9.\nhint:  It has v1 to v5.\n",
    )
    filled.append(draft(), Config())
    done = command.run("releases", "proof", "v6", "-a", "shop", "--outcome")
    assert (done.status, done.err) == (
        30,
        "error: v6 of shop/production has no outcome yet.\nhint:  `trivet releases` lists what there is.\n",
    )
    done = command.run("releases", "proof", "v1", "-a", "shop", "-o", "no/folder")
    assert (done.status, done.err) == (
        2,
        (
            "error: The proof cannot be written to no/folder: No such file or directory.\n"
            "hint:  Name another file: -o FILE\n"
        ),
    )


def test_before_the_first_release_there_is_no_key(tmp_path: Path) -> None:
    done = Trivet(tmp_path / "home", tmp_path).run("releases", "key")
    assert (done.status, done.err) == (
        30,
        "error: This installation has signed nothing yet, and has no key.\nhint:  The first `trivet deploy` makes it.\n",
    )
