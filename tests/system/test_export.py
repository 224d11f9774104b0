"""The ledger for other programs: what they read of it suffices to check it."""

import base64
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage

from support.apps import DIES, shop
from support.command import Trivet, own_port
from support.keys import Key
from support.repository import Repository

ONLY_WEB = "web: python3 server.py\n"
QUICK = 'app = "shop"\n'


def _files(version: str, **parts: str) -> dict[str, str | None]:
    return shop(version, **{"procfile": ONLY_WEB, "settings": QUICK, **parts})


def _lines(trivet: Trivet, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in trivet.ok("releases", "export", *arguments).out.splitlines()]


def _root(leaves: list[bytes]) -> bytes:
    """As RFC 6962, 2.1 defines it."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    left = 1
    while left * 2 < len(leaves):
        left *= 2
    return hashlib.sha256(b"\1" + _root(leaves[:left]) + _root(leaves[left:])).digest()


@pytest.fixture
def exported(trivet: Trivet, repository: Repository) -> Trivet:
    """A shop with a good release, a failed one, one with config, and another deploy."""
    repository.commit(_files("v1"), "Open")
    trivet.ok("deploy", "--port", own_port())
    repository.commit(_files("v2", web=DIES), "Break")
    assert trivet.run("deploy").status == 40
    trivet.ok("config", "set", "TOKEN=canary-1729")
    trivet.ok("promote", "production", "staging")
    return trivet


def test_the_root_of_the_ledger_is_computed_from_its_lines(exported: Trivet) -> None:
    entries = _lines(exported)
    leaves = []
    for position, entry in enumerate(entries, start=1):
        parts = (entry[name] for name in ("position", "app", "deploy", "kind", "number", "at", "body"))
        leaf = "\n".join(("trivet-ledger-2", *map(str, parts))).encode()
        assert entry["position"] == position
        assert entry["hash"] == hashlib.sha256(b"\0" + leaf).hexdigest()
        leaves.append(leaf)
    root = base64.b64encode(_root(leaves)).decode()
    assert exported.ok("releases", "verify", "--json").json()["checkpoint"] == f"{len(entries)}:{root}"
    assert "canary-1729" not in exported.ok("releases", "export").out


def test_of_one_deploy_there_are_its_entries_alone(exported: Trivet) -> None:
    everything = _lines(exported)
    assert _lines(exported, "-a", "shop") == everything
    assert _lines(exported, "-d", "staging") == [entry for entry in everything if entry["deploy"] == "staging"]
    done = exported.run("releases", "export", "-d", "nowhere")
    assert (done.status, done.out, done.err) == (
        2,
        "",
        "error: The ledger has no entry about shop/nowhere.\nhint:  `trivet apps` lists the apps.\n",
    )


def test_each_release_is_a_statement_that_in_totos_own_types_read(exported: Trivet) -> None:
    texts = exported.ok("releases", "export", "-d", "production", "--format", "in-toto").out.splitlines()
    for text in texts:
        message = json_format.Parse(text, StatementMessage())
        Statement.copy_from_pb(message).validate()
        assert message.predicate_type == "urn:trivet:release:1"
    statements = [json.loads(text) for text in texts]
    assert [each["predicate"]["release"] for each in statements] == [1, 2, 3]
    assert [each["predicate"]["outcome"]["state"] for each in statements] == ["succeeded", "failed", "succeeded"]
    subjects = {each["name"]: each["digest"]["sha256"] for each in statements[2]["subject"]}
    folder = exported.home / "apps/shop/deploys/production/releases/v3"
    for name in ("release.json", "env.age"):
        assert subjects[name] == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    build = statements[2]["predicate"]["build"]
    provenance = json.loads(exported.ok("builds", "show", build, "--provenance").out)
    assert {each["name"]: each["digest"]["sha256"] for each in provenance["subject"]}["app"] == subjects["app"]
    assert "env.age" not in {each["name"] for each in statements[0]["subject"]}


def test_a_signature_of_a_release_is_one_that_ssh_keygen_verifies_alone(
    trivet: Trivet, repository: Repository, tmp_path: Path
) -> None:
    """With what is exported, the signature beside the release, and a list of who may sign."""
    ada, signers = Key(tmp_path, "ada"), tmp_path / "signers"
    signers.write_text(ada.allows)
    repository.commit(_files("v1"))
    trivet.ok("deploy", "--port", own_port(), "--sign", str(ada.path))
    (body,) = [entry["body"] for entry in _lines(trivet) if entry["kind"] == "release"]
    signature = trivet.home / "apps/shop/deploys/production/releases/v1/release.sig"
    options = ("-f", signers, "-I", "ada@example.org", "-n", "trivet-release", "-s", signature)
    for content, status in ((body, 0), (body.replace('"number":1', '"number":2'), 255)):
        done = subprocess.run(
            ("ssh-keygen", "-Y", "verify", *options), input=content, text=True, capture_output=True, check=False
        )
        assert done.returncode == status, done.stderr
