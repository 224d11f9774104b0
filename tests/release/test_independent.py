"""The tree, the notes and the proofs, against those of Go's module system: another language, other authors, other bugs."""

import base64
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.toolchains import GO_CACHE, needs, with_go
from trivet.model.config import Config
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.release import Draft, Outcome, State
from trivet.release import Ledger
from trivet.release.checkpoints import sign
from trivet.release.key import signing_key
from trivet.release.merkle import NO_PEAKS, audit_path, grow, leaf_hash, root
from trivet.release.note import PrivateKey, parse_note, parse_public_key

GO_CODE = Path("/usr/share/gocode")  # where Debian's golang-golang-x-mod-dev lies

pytestmark = [
    needs(folders=(GO_CODE / "src/golang.org/x/mod/sumdb", Path(sys.prefix) / "go")),
    pytest.mark.timeout(900),  # where Go's own packages are still to be compiled
]

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Asks the Go program, which is built once."""
    folder = tmp_path_factory.mktemp("go")
    program = folder / "independent"
    environment = {
        **with_go(),
        "GO111MODULE": "off",
        "GOPATH": str(GO_CODE),
        "GOCACHE": str(GO_CACHE),
        "GOFLAGS": "",
        "CGO_ENABLED": "0",
    }
    source = Path(__file__).parent / "independent" / "main.go"
    subprocess.run(("go", "build", "-o", program, source), env=environment, check=True, cwd=folder)

    def run(**question: object) -> Any:
        done = subprocess.run(
            (program,), input=json.dumps(question), capture_output=True, text=True, check=True, timeout=60
        )
        return json.loads(done.stdout)

    return run


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_every_root_and_path_is_the_same(ask: Ask) -> None:
    chosen = random.Random(6962)
    for size in (0, 1, 2, 3, 7, 8, 9, 64, 100):
        leaves = [chosen.randbytes(chosen.randrange(40)) for _ in range(size)]
        index = chosen.randrange(size) if size else 0
        rows, peaks = [(b"", NO_PEAKS)], NO_PEAKS
        for count, leaf in enumerate(leaves):
            peaks = grow(peaks, count, leaf_hash(leaf))
            rows.append((leaf_hash(leaf), peaks))
        told = ask(Leaves=[_encoded(leaf) for leaf in leaves], Index=index)
        assert told["Error"] == ""
        # That of no leaves is all zeros there; RFC 6962 has the hash of nothing (test_merkle.py).
        assert told["Roots"][1:] == [_encoded(root(peaks)) for _, peaks in rows[1:]]
        path = audit_path(lambda position, rows=rows: rows[position], index, size) if size else ()  # type: ignore[misc]
        assert told["Path"] == [_encoded(each) for each in path]


def test_a_note_is_signed_byte_for_byte_the_same(ask: Ask) -> None:
    key = PrivateKey("trivet/0123456789abcdef", bytes(range(32)))
    text = "trivet/0123456789abcdef\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    assert ask(Private=key.written(), Text=text) == {**NOTHING, "Signed": key.sign(text)}


def test_what_go_signed_is_good_here_too(ask: Ask) -> None:
    key = PrivateKey("example.com/log", bytes(32))
    note = parse_note(ask(Private=key.written(), Text="ognuno sta solo\n\ned è subito sera.\n")["Signed"].encode())
    assert note is not None
    assert note.text == "ognuno sta solo\n\ned è subito sera.\n"
    assert key.public.signed(note)


NOTHING = {"Roots": None, "Path": None, "Signed": "", "Text": "", "Proved": False, "Error": ""}


@pytest.fixture
def filled(ledger: Ledger, draft: Callable[..., Draft], deploy: Deploy) -> Ledger:
    """Some forty entries of one deploy."""
    for _ in range(13):
        number = ledger.append(draft(), Config()).number
        ledger.conclude(deploy, number, Outcome(State.SUCCEEDED))
    return ledger


def test_a_checkpoint_of_a_release_is_opened_with_the_public_key(
    ask: Ask, home: Home, filled: Ledger, deploy: Deploy
) -> None:
    note = (home.release(deploy, 13) / "checkpoint").read_text()
    now = filled.verify().checkpoint
    key = filled.public_key()
    name = signing_key(home).name
    assert ask(Note=note, Key=key) == {**NOTHING, "Text": f"{name}\n{now.size}\n{now.root}\n"}
    other = PrivateKey(name, b"x" * 32)
    assert "no verifiable signatures" in ask(Note=sign(now, other), Key=key)["Error"]
    assert "invalid signature" in ask(Note=note.replace(f"\n{now.size}\n", "\n7\n"), Key=key)["Error"]


@pytest.mark.parametrize("number", [1, 2, 7, 13])
def test_a_proof_convinces_with_the_public_key_alone(ask: Ask, filled: Ledger, deploy: Deploy, number: int) -> None:
    form, extra, index, *rest = filled.prove(deploy, number).split("\n")
    path, note = rest[: rest.index("")], "\n".join(rest[rest.index("") + 1 :])
    key = filled.public_key()
    assert key is not None
    assert parse_public_key(key) is not None
    name, size, top = ask(Note=note, Key=key)["Text"].split("\n")[:3]
    question: dict[str, Any] = {
        "Entry": extra.removeprefix("extra "),
        "Index": int(index.removeprefix("index ")),
        "Path": path,
        "Size": int(size),
        "Root": top,
    }
    assert (form, name) == ("c2sp.org/tlog-proof@v1", key.split("+")[0])
    assert ask(**question) == {**NOTHING, "Proved": True}
    assert f'"number":{number}' in base64.b64decode(question["Entry"]).decode()
    assert not ask(**{**question, "Entry": _encoded(b"another")})["Proved"]
    assert not ask(**{**question, "Index": question["Index"] + 1})["Proved"]
