"""Builds that are signed, and deploys that insist on it."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.apps import shop
from support.command import Trivet
from support.keys import Key
from support.repository import Repository

PLAIN = {"Procfile": "web: python3 -m http.server $PORT\n"}
SIGNED = '\n[build]\nrequire_signature = true\nallowed_signers = "signers"\n'


@pytest.fixture
def ada(tmp_path: Path) -> Key:
    return Key(tmp_path, "ada")


@pytest.fixture
def eve(tmp_path: Path) -> Key:
    return Key(tmp_path, "eve")


def _signed_shop(version: str, *keys: Key) -> dict[str, str | None]:
    """A shop that takes only what these have signed."""
    files = shop(version)
    return {**files, "trivet.toml": f"{files['trivet.toml']}{SIGNED}", "signers": "".join(key.allows for key in keys)}


def _signature(trivet: Trivet, build: str) -> Path:
    return trivet.home / "apps" / "shop" / "builds" / build / "provenance.json.sig"


def test_a_build_is_signed_and_verified_by_who_signed_it(
    trivet: Trivet, repository: Repository, ada: Key, tmp_path: Path
) -> None:
    repository.commit(PLAIN)
    build = trivet.ok("build", "--sign", str(ada.path)).out.strip()
    signers = tmp_path / "signers"
    signers.write_text(ada.allows)
    done = trivet.ok("builds", "verify", "--signers", str(signers))
    assert done.out == f"{build}  as built, signed by ada@example.org ({ada.fingerprint})\n"
    (found,) = trivet.ok("builds", "verify", build, "--signers", str(signers), "--json").json()
    assert found["good"]
    assert found["signer"] == {"name": "ada@example.org", "fingerprint": ada.fingerprint}


def test_the_signature_is_one_that_ssh_keygen_verifies_alone(
    trivet: Trivet, repository: Repository, ada: Key, tmp_path: Path
) -> None:
    repository.commit(PLAIN)
    build = trivet.ok("build", "--sign", str(ada.path)).out.strip()
    signers = tmp_path / "signers"
    signers.write_text(ada.allows)
    options = ("-f", str(signers), "-I", "ada@example.org", "-n", "trivet-provenance")
    argv = ("ssh-keygen", "-Y", "verify", *options, "-s", str(_signature(trivet, build)))
    provenance = trivet.ok("builds", "show", build, "--provenance").out
    done = subprocess.run(
        (*argv, "-s", str(_signature(trivet, build))), input=provenance, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_build_that_is_there_already_is_signed_later(trivet: Trivet, repository: Repository, ada: Key) -> None:
    repository.commit(PLAIN)
    build = trivet.ok("build").out.strip()
    assert not _signature(trivet, build).exists()
    assert trivet.ok("build", "--sign", str(ada.path)).err.splitlines()[-1] == f"build    {build}: signed"
    assert _signature(trivet, build).is_file()


def test_gits_signing_key_is_the_default(trivet: Trivet, repository: Repository, ada: Key, tmp_path: Path) -> None:
    repository.commit(PLAIN)
    repository.git("config", "gpg.format", "ssh")
    repository.git("config", "user.signingKey", str(ada.path))
    build = trivet.ok("build", "--sign").out.strip()
    signers = tmp_path / "signers"
    signers.write_text(ada.allows)
    assert "signed by ada@example.org" in trivet.ok("builds", "verify", build, "--signers", str(signers)).out


@contextlib.contextmanager
def _agent(trivet: Trivet, *keys: Key) -> Iterator[None]:
    """An ssh-agent that has the keys."""
    socket = trivet.home.parent / "agent"
    with subprocess.Popen(("ssh-agent", "-D", "-a", str(socket)), stdout=subprocess.PIPE, text=True) as agent:
        try:
            assert agent.stdout is not None
            agent.stdout.readline()  # it says where it listens once it does
            trivet.environment["SSH_AUTH_SOCK"] = str(socket)
            for key in keys:
                subprocess.run(
                    ("ssh-add", "-q", str(key.path)), env={**os.environ, "SSH_AUTH_SOCK": str(socket)}, check=True
                )
            yield
        finally:
            agent.terminate()


@pytest.mark.parametrize("literal", [False, True], ids=["first of the agent", "public key in git's settings"])
def test_a_key_that_only_the_agent_has_signs(
    trivet: Trivet, repository: Repository, ada: Key, eve: Key, tmp_path: Path, literal: bool
) -> None:
    repository.commit(PLAIN)
    with _agent(trivet, *((eve, ada) if literal else (ada, eve))):
        ada.path.unlink()
        if literal:
            repository.git("config", "gpg.format", "ssh")
            repository.git("config", "user.signingKey", f"key::{ada.public}")
        trivet.ok("build", "--sign")
    signers = tmp_path / "signers"
    signers.write_text(ada.allows)
    assert "signed by ada@example.org" in trivet.ok("builds", "verify", "--signers", str(signers)).out


def test_no_key_at_all_is_told(trivet: Trivet, repository: Repository) -> None:
    repository.commit(PLAIN)
    done = trivet.run("build", "--sign", "--quiet")
    assert (done.status, done.out) == (20, "")
    assert done.err == (
        "error: There is no key to sign with: git has no SSH key as user.signingKey, and no agent has a key.\n"
        "hint:  Name one: --sign ~/.ssh/id_ed25519. Or for good: git config --global gpg.format ssh && "
        "git config --global user.signingKey ~/.ssh/id_ed25519. The build is there, unsigned.\n"
    )


def test_a_key_that_cannot_be_used_is_told(trivet: Trivet, repository: Repository, tmp_path: Path) -> None:
    repository.commit(PLAIN)
    locked = Key(tmp_path, "locked", passphrase="secret words")
    done = trivet.run("build", "--sign", str(locked.path), "--quiet")
    assert done.status == 20
    first, *detail, hint = done.err.splitlines()
    assert first == f"error: ssh-keygen cannot sign with {locked.path}."
    assert detail
    assert hint == (
        "hint:  Name the file of an SSH key: --sign ~/.ssh/id_ed25519. If it has a passphrase, add it to the agent first: "
        "ssh-add. The build is there, unsigned."
    )


def test_what_is_wrong_with_a_signature_is_told(
    trivet: Trivet, repository: Repository, ada: Key, eve: Key, tmp_path: Path
) -> None:
    repository.commit(PLAIN)
    build = trivet.ok("build").out.strip()
    signers = tmp_path / "signers"
    signers.write_text(ada.allows)
    folder = trivet.home / "apps" / "shop" / "builds" / build

    def told() -> str:
        done = trivet.run("builds", "verify", "--signers", str(signers))
        assert done.status == 20
        return done.out.splitlines()[-2].removeprefix(f"{build}  altered  ")

    assert told() == f"The build {build} is not signed"
    trivet.ok("build", "--sign", str(eve.path))
    assert told() == f"The build {build} is signed by a key that may not: {eve.fingerprint}"
    trivet.ok("build", "--sign", str(ada.path))
    trivet.ok("builds", "verify", "--signers", str(signers))
    provenance = folder / "provenance.json"
    provenance.write_text(provenance.read_text().replace('"revision": "HEAD"', '"revision": "main"'))
    assert told() == f"The signature of the build {build} is none of this build: it was altered after it was signed"


def test_a_signature_does_not_cover_another_build(
    trivet: Trivet, repository: Repository, ada: Key, tmp_path: Path
) -> None:
    """Taking the signed provenance of a good build along does not help: it names other layers."""
    repository.commit(PLAIN)
    good = trivet.ok("build", "--sign", str(ada.path)).out.strip()
    repository.commit({"evil": "1"})
    bad = trivet.ok("build").out.strip()
    for name in ("provenance.json", "provenance.json.sig"):
        builds = trivet.home / "apps" / "shop" / "builds"
        (builds / bad / name).write_bytes((builds / good / name).read_bytes())
    signers = tmp_path / "signers"
    signers.write_text(ada.allows)
    done = trivet.run("builds", "verify", bad, "--signers", str(signers))
    assert done.status == 20
    assert f"The signature of the build {bad} is none of this build" in done.out


def _releases(trivet: Trivet) -> int:
    return len(trivet.ok("releases", "--json").json())


def test_a_deploy_that_requires_signatures_takes_only_signed_builds(
    trivet: Trivet, repository: Repository, ada: Key, eve: Key
) -> None:
    repository.commit(_signed_shop("v1", ada))
    trivet.ok("deploy", "--sign", str(ada.path))
    before = trivet.pids()
    commit = repository.commit(shop("v2", settings=_signed_shop("v2")["trivet.toml"] or ""))
    done = trivet.run("deploy")
    build = trivet.ok("builds", "--json").json()[0]["id"]
    own = trivet.home / "apps" / "shop" / "builds" / trivet.ok("builds", "--json").json()[1]["id"] / "allowed_signers"
    assert done.status == 20
    assert done.err.splitlines()[-2:] == [
        f"error: shop/production takes only signed builds: the build {build} is not signed.",
        (
            f"hint:  Sign it: trivet build {commit[:8]} --sign. {own} lists who may. Nothing was released, and what runs was not "
            "touched."
        ),
    ]
    done = trivet.run("deploy", "--sign", str(eve.path))
    assert done.status == 20
    assert done.err.splitlines()[-2:] == [
        (
            f"error: shop/production takes only signed builds: the build {build} is signed by a key that may not: "
            f"{eve.fingerprint}."
        ),
        (
            f"hint:  {own} lists who may. Sign it: trivet build {commit[:8]} --sign, by one of them. Nothing was released, and "
            "what runs was not touched."
        ),
    ]
    assert _releases(trivet) == 1
    assert trivet.pids() == before
    done = trivet.ok("deploy", "--sign", str(ada.path))
    assert f"build    {build}: signed by ada@example.org ({ada.fingerprint})" in done.err.splitlines()


@pytest.mark.parametrize("drops", [False, True], ids=["adds its own key", "drops the requirement"])
def test_a_commit_cannot_let_itself_in(trivet: Trivet, repository: Repository, ada: Key, eve: Key, drops: bool) -> None:
    """Who may sign what is deployed says what runs, and not what wants to run."""
    repository.commit(_signed_shop("v1", ada))
    trivet.ok("deploy", "--sign", str(ada.path))
    repository.commit(shop("evil") if drops else _signed_shop("evil", eve))
    done = trivet.run("deploy", "--sign", str(eve.path))
    assert done.status == 20
    assert "is signed by a key that may not" in done.err
    trivet.ok("deploy", "--sign", str(ada.path))  # ada agrees: from now on it is as the commit says
    repository.commit({"more": "1"})
    assert trivet.run("deploy", "--sign", str(eve.path)).status == 0


def test_the_first_deploy_must_be_signed_by_one_of_its_own_signers(
    trivet: Trivet, repository: Repository, ada: Key, eve: Key
) -> None:
    repository.commit(_signed_shop("v1", ada))
    assert trivet.run("deploy").status == 20
    assert trivet.run("deploy", "--sign", str(eve.path)).status == 20
    trivet.ok("deploy", "--sign", str(ada.path))


def test_the_installations_file_goes_before_what_the_app_says(
    trivet: Trivet, repository: Repository, ada: Key, eve: Key
) -> None:
    repository.commit(_signed_shop("v1", eve))
    path = trivet.home / "apps" / "shop" / "allowed_signers"
    path.parent.mkdir(parents=True)
    path.write_text(ada.allows)
    done = trivet.run("deploy", "--sign", str(eve.path))
    assert done.status == 20
    assert str(path) in done.err
    trivet.ok("deploy", "--sign", str(ada.path))


def test_a_promotion_needs_what_a_deploy_needs(trivet: Trivet, repository: Repository, ada: Key, eve: Key) -> None:
    repository.commit(_signed_shop("v1", ada))
    trivet.ok("deploy", "--sign", str(ada.path))
    repository.commit(_signed_shop("v2", eve))
    trivet.ok("deploy", "-d", "staging", "--sign", str(eve.path))
    done = trivet.run("promote", "staging", "production")
    assert done.status == 20
    assert "error: shop/production takes only signed builds: " in done.err
    assert _releases(trivet) == 1


def test_a_rollback_and_a_change_of_config_need_no_new_signature(
    trivet: Trivet, repository: Repository, ada: Key
) -> None:
    """What they start was let in already."""
    repository.commit(shop("v1"))
    trivet.ok("deploy")
    repository.commit(_signed_shop("v2", ada))
    trivet.ok("deploy", "--sign", str(ada.path))
    trivet.ok("config", "set", "GREETING=hello")
    trivet.ok("rollback", "v1", "--yes")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            "require_signature = true\n",
            "trivet.toml:2: require_signature needs allowed_signers, the file that lists who may sign.",
        ),
        (
            'require_signature = true\nallowed_signers = "nowhere"\n',
            "trivet.toml:3: the commit has no file 'nowhere' in the app's folder.",
        ),
        ('require_signature = "yes"\n', "trivet.toml:2: require_signature must be true or false, not 'yes'."),
    ],
)
def test_settings_that_nobody_could_satisfy_are_an_error(
    trivet: Trivet, repository: Repository, settings: str, message: str
) -> None:
    repository.commit({**PLAIN, "trivet.toml": f"[build]\n{settings}"})
    done = trivet.run("build")
    assert done.status == 2
    assert f"error: {message}" in done.err.splitlines()
