"""Releases that are signed, and deploys that take no others."""

from pathlib import Path

import pytest

from support.apps import shop
from support.command import Trivet, fetch, own_port
from support.keys import Key
from support.repository import Repository

ONLY_WEB = "web: python3 server.py\n"
QUICK = 'app = "shop"\n'
INSISTS = '\n[build]\nrequire_signature = true\nallowed_signers = "signers"\n\n[release]\nrequire_signature = true\n'
UNTOUCHED = "Nothing was released, and what runs was not touched."
REFUSED = (
    "error: shop/production takes only signed releases.\n"
    f"hint:  Sign it: give --sign, or --sign ~/.ssh/id_ed25519 for that key. {UNTOUCHED}\n"
)


@pytest.fixture
def ada(tmp_path: Path) -> Key:
    return Key(tmp_path, "ada")


@pytest.fixture
def eve(tmp_path: Path) -> Key:
    return Key(tmp_path, "eve")


def _files(version: str, *signers: Key) -> dict[str, str | None]:
    """A shop; with signers one that takes only what these have signed."""
    files = shop(version, procfile=ONLY_WEB, settings=f"{QUICK}{INSISTS if signers else ''}")
    return {**files, "signers": "".join(key.allows for key in signers)}


def _signer(trivet: Trivet, number: int, deploy: str = "production") -> object:
    return trivet.ok("releases", "show", f"v{number}", "-d", deploy, "--json").json()["signer"]


def _signature(trivet: Trivet, number: int) -> Path:
    return trivet.home / f"apps/shop/deploys/production/releases/v{number}/release.sig"


def _releases(trivet: Trivet) -> int:
    return len(trivet.ok("releases", "--json").json())


@pytest.fixture
def strict(trivet: Trivet, repository: Repository, ada: Key) -> Trivet:
    """A shop that takes only what ada has signed, with one release."""
    repository.commit(_files("v1", ada), "Open")
    trivet.ok("deploy", "--port", own_port(), "--sign", str(ada.path))
    return trivet


def test_whatever_makes_a_release_signs_it_if_asked_and_it_is_shown_by_whom(
    trivet: Trivet, repository: Repository, ada: Key
) -> None:
    repository.commit(_files("v1"), "Open")
    trivet.ok("deploy", "--port", own_port())
    with_key = ("--sign", str(ada.path))
    assert f"release  signed by a key that nobody listed: {ada.fingerprint}" in (
        trivet.ok("config", "set", "GREETING=hello", *with_key).err.splitlines()
    )
    trivet.ok("config", "unset", "GREETING", *with_key)
    trivet.ok("rollback", "v2", "--yes", *with_key)
    trivet.ok("promote", "production", "staging", *with_key)
    trivet.ok("rollback", "v1", "--yes")
    by_ada = {"name": None, "fingerprint": ada.fingerprint}
    assert [_signer(trivet, number) for number in range(1, 6)] == [None, by_ada, by_ada, by_ada, None]
    assert _signer(trivet, 1, "staging") == by_ada
    (trivet.home / "apps/shop/allowed_signers").write_text(ada.allows)
    assert f"signed     ada@example.org ({ada.fingerprint})\n" in trivet.ok("releases", "show", "v2").out
    assert trivet.ok("releases", "verify").out.endswith("; 4 signed releases\n")


def test_an_unsigned_release_is_refused_before_anything_starts(strict: Trivet, repository: Repository) -> None:
    before, url = strict.pids(), strict.url
    repository.commit({"more": "1"})
    for command in (
        ("deploy",),
        ("config", "set", "GREETING=hello"),
        ("config", "set", "GREETING=hello", "--plan"),
    ):
        done = strict.run(*command, "--quiet")
        assert done.status == 30, command
        assert done.err == ("" if "--plan" in command else REFUSED)
    done = strict.run("promote", "production", "staging", "--quiet")
    assert (done.status, done.out) == (30, "")
    assert done.err == REFUSED.replace("shop/production", "shop/staging")
    assert strict.ok("builds", "--json").json()[1:] == []  # nobody waits for a build first
    assert _releases(strict) == 1
    assert strict.pids() == before
    assert fetch(url) == (200, "v1 - v1\n")


def test_a_rollback_is_refused_unsigned_and_done_signed(strict: Trivet, ada: Key) -> None:
    strict.ok("config", "set", "GREETING=hello", "--sign", str(ada.path))
    done = strict.run("rollback", "--yes", "--quiet")
    assert (done.status, done.out, done.err) == (30, "", REFUSED)
    strict.ok("rollback", "--yes", "--sign", str(ada.path))
    assert fetch(strict.url) == (200, "v1 - v3\n")


def test_a_key_that_may_not_or_cannot_sign_makes_no_release(strict: Trivet, ada: Key, eve: Key, tmp_path: Path) -> None:
    build = strict.ok("builds", "--json").json()[0]["id"]
    signers = strict.home / "apps/shop/builds" / build / "allowed_signers"
    done = strict.run("config", "set", "A=1", "--sign", str(eve.path))
    assert (done.status, done.out) == (30, "")
    assert done.err == (
        "error: shop/production takes only releases signed by those who may, and this key may not: "
        f"{eve.fingerprint}.\n"
        f"hint:  {signers} lists who may. Sign with another key: --sign FILE. {UNTOUCHED}\n"
    )
    done = strict.run("config", "set", "A=1", "--sign")
    assert (done.status, done.out) == (30, "")
    assert done.err == (
        "error: There is no key to sign with: git has no SSH key as user.signingKey, and no agent has a key.\n"
        "hint:  Name one: --sign ~/.ssh/id_ed25519. Or for good: git config --global gpg.format ssh && "
        f"git config --global user.signingKey ~/.ssh/id_ed25519. {UNTOUCHED}\n"
    )
    locked = Key(tmp_path, "locked", passphrase="secret words")
    done = strict.run("config", "set", "A=1", "--sign", str(locked.path))
    assert (done.status, done.out) == (30, "")
    first, *detail, hint = done.err.splitlines()
    assert first == f"error: ssh-keygen cannot sign with {locked.path}."
    assert detail
    assert hint == (
        "hint:  Name the file of an SSH key: --sign ~/.ssh/id_ed25519. If it has a passphrase, add it to the agent first: "
        f"ssh-add. {UNTOUCHED}"
    )
    assert _releases(strict) == 1


def test_a_commit_cannot_drop_the_requirement_by_itself(strict: Trivet, repository: Repository, ada: Key) -> None:
    repository.commit(_files("v2"), "Drop it")
    assert strict.run("deploy").err.endswith(REFUSED)
    strict.ok("deploy", "--sign", str(ada.path))  # ada agrees: from now on it is as the commit says
    strict.ok("config", "set", "GREETING=hello")
    assert strict.ok("releases", "verify").out.endswith("; 2 signed releases\n")


def test_whoever_owns_the_installation_can_insist_whatever_commits_say(
    trivet: Trivet, repository: Repository, ada: Key, eve: Key
) -> None:
    repository.commit(_files("v1"), "Open")
    trivet.ok("deploy", "--port", own_port())
    (trivet.home / "apps/shop/require_signed_releases").touch()
    done = trivet.run("config", "set", "A=1")
    assert (done.status, done.out, done.err) == (30, "", REFUSED)
    done = trivet.run("config", "set", "A=1", "--sign", str(ada.path))
    assert done.status == 30
    assert "hint:  No file lists who may: docs/how-to/sign-releases.md. " in done.err
    (trivet.home / "apps/shop/allowed_signers").write_text(ada.allows)
    assert trivet.run("config", "set", "A=1", "--sign", str(eve.path)).status == 30
    trivet.ok("config", "set", "A=1", "--sign", str(ada.path))
    assert _signer(trivet, 2) == {"name": "ada@example.org", "fingerprint": ada.fingerprint}


def test_a_signature_that_is_gone_or_of_something_else_is_found(strict: Trivet, ada: Key) -> None:
    strict.ok("config", "set", "GREETING=hello", "--sign", str(ada.path))
    kept = _signature(strict, 2).read_bytes()
    _signature(strict, 2).unlink()
    done = strict.run("releases", "verify")
    assert (done.status, done.out) == (30, "")
    assert done.err.splitlines()[0] == (
        "error: The ledger was altered: entry 4 (shop/production v2): it had to be signed, and release.sig is missing."
    )
    _signature(strict, 2).write_bytes(_signature(strict, 1).read_bytes())
    done = strict.run("releases", "verify", "--json")
    assert done.status == 30
    assert done.json()["reason"] == "release.sig is no signature of it"
    assert f"signed     The signature of v2 is none of this release: {_signature(strict, 2)}.\n" in (
        strict.ok("releases", "show", "v2").out
    )
    _signature(strict, 2).write_bytes(kept)
    strict.ok("releases", "verify")


def test_a_key_that_was_taken_off_the_list_leaves_what_it_signed(
    strict: Trivet, repository: Repository, ada: Key, eve: Key
) -> None:
    repository.commit(_files("v2", eve), "Hand over")
    strict.ok("deploy", "--sign", str(ada.path))
    assert strict.run("config", "set", "A=1", "--sign", str(ada.path)).status == 30
    strict.ok("config", "set", "A=1", "--sign", str(eve.path))
    assert strict.ok("releases", "verify").out.endswith("; 3 signed releases\n")
    assert _signer(strict, 1) == {"name": None, "fingerprint": ada.fingerprint}


def test_signed_releases_need_signed_builds(trivet: Trivet, repository: Repository) -> None:
    repository.commit({**_files("v1"), "trivet.toml": f"{QUICK}\n[release]\nrequire_signature = true\n"})
    done = trivet.run("build")
    assert done.status == 2
    assert done.err.splitlines()[-2:] == [
        "error: trivet.toml:4: signed releases need signed builds.",
        "hint:  Set require_signature and allowed_signers in [build] as well: who may sign is the same for both.",
    ]
