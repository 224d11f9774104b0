"""Notifications: whoever subscribed is told what became of a release, and no release waits or fails for that."""

import base64
import datetime
import hashlib
import hmac
import time
from pathlib import Path

import pytest

from support.apps import DIES, PROCFILE, shop
from support.command import Done, Trivet, eventually
from support.receiver import SILENT, Received, Receiver, receiving
from support.repository import Repository


def _says(done: Done, status: int, told: str) -> None:
    assert (done.status, done.out) == (status, "")
    assert done.err.endswith(told), done.err


def _shown(receiver: Receiver) -> str:
    return receiver.url.partition("/hooks")[0] + "/…"


def _is_signed(request: Received, secret: str) -> bool:
    """As a receiver checks it that has never seen our code: https://www.standardwebhooks.com"""
    at = request.headers["webhook-timestamp"]
    assert abs(time.time() - int(at)) < 300
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{request.id}.{at}.".encode() + request.body
    wanted = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return request.headers["webhook-signature"] == f"v1,{wanted}"


def test_a_url_is_told_of_every_release_in_a_signed_body_without_values(trivet: Trivet, repository: Repository) -> None:
    with receiving() as receiver:
        done = trivet.ok("notify", "add", receiver.url)
        assert done.out == f"1: {_shown(receiver)} is told of the releases of every deploy\n"
        assert done.err == "`trivet notify secret 1` prints what it can check the signatures with.\n"
        secret = trivet.ok("notify", "secret", "1").out.strip()
        first = repository.commit(shop("v1"), "Open the shop")
        trivet.ok("config", "set", "GREETING=s3cret-canary")
        trivet.ok("deploy", "-m", "the first")
        repository.commit(shop("v2", web=DIES))
        assert trivet.run("deploy").status == 40
        one, two = receiver.received
    assert (one.path, one.headers["content-type"]) == ("/hooks/trivet?token=let-me-in", "application/json")
    assert _is_signed(one, secret)
    assert _is_signed(two, secret)
    assert not _is_signed(Received(one.path, one.headers, one.body + b" "), secret)
    record, failed = (trivet.ok("releases", "show", name, "--json").json() for name in ("v1", "v2"))
    assert one.json["type"] == "release.succeeded"
    assert one.json["timestamp"] >= record["created_at"]
    assert one.json["data"] == {
        **{name: record[name] for name in ("app", "deploy", "release", "state", "failure", "cause", "reason", "actor")},
        **{name: record[name] for name in ("created_at", "build", "commit", "subject", "author", "config_version")},
        "schema": None,
        "previous": None,
        "previous_commit": None,
        "address": trivet.url.rstrip("/"),
    }
    assert (two.json["type"], two.json["data"]["failure"]) == ("release.failed", failed["failure"])
    assert (two.json["data"]["previous"], two.json["data"]["previous_commit"]) == (1, first)
    assert two.json["data"]["address"] is None
    assert b"s3cret-canary" not in one.body + two.body
    assert b"no database configured" not in two.body  # what an app writes is nobody else's


def test_what_is_refused_is_sent_again_under_the_same_id(trivet: Trivet, repository: Repository) -> None:
    with receiving(503, 500) as receiver:
        trivet.ok("notify", "add", receiver.url)
        repository.commit(shop("v1"))
        done = trivet.ok("deploy")
    assert "note" not in done.err.replace("note     no worker", "")
    assert len(receiver.received) == 3
    assert len({request.id for request in receiver.received}) == 1
    assert len({request.body for request in receiver.received}) == 1
    assert trivet.ok("notify", "--json").json()[0]["waiting"] == 0


def test_a_url_that_never_answers_keeps_no_other_waiting_and_is_told_later(
    trivet: Trivet, repository: Repository
) -> None:
    with receiving(*[SILENT] * 10) as silent, receiving() as other:
        trivet.ok("notify", "add", silent.url)
        trivet.ok("notify", "add", other.url)
        repository.commit(shop("v1"))
        done = trivet.ok("deploy")
        assert done.out.startswith("shop/production v1 is live at ")
        assert (
            f"note     1 notification waits for {_shown(silent)} (no answer within 3 s); the next release tries again\n"
        ) in done.err
        assert [request.json["data"]["release"] for request in other.received] == [1]
        before = len(silent.received)
        done = trivet.ok("config", "set", "GREETING=hello")
        assert f"note     2 notifications wait for {_shown(silent)} (no answer within 3 s)" in done.err
        assert len(silent.received) == before + 1  # one that is known to be silent is tried once
        silent.answers.clear()
        trivet.ok("config", "set", "GREETING=again")
        assert [request.json["data"]["release"] for request in silent.received[before + 1 :]] == [1, 2, 3]
        assert [request.json["data"]["release"] for request in other.received] == [1, 2, 3]
        assert [each["waiting"] for each in trivet.ok("notify", "--json").json()] == [0, 0]


def test_a_release_that_was_interrupted_is_told_of_by_the_next_command(trivet: Trivet, repository: Repository) -> None:
    with receiving() as receiver:
        trivet.ok("notify", "add", receiver.url)
        repository.commit(shop("v1", procfile=f"{PROCFILE}release: touch $TRIVET_STORAGE/begun; sleep 600\n"))
        with trivet.start("deploy") as command:
            begun = trivet.home / "apps/shop/deploys/production/storage/begun"
            eventually(begun.exists, what="the release command", deadline_s=60)
            command.kill()
        repository.commit(shop("v2"))
        trivet.ok("deploy")
    told = [(request.json["type"], request.json["data"]["release"]) for request in receiver.received]
    assert told == [("release.failed", 1), ("release.succeeded", 2)]
    assert receiver.received[0].json["data"]["failure"] == "interrupted before its roll-out began"


def test_a_url_is_told_of_its_own_deploy_only(trivet: Trivet, repository: Repository) -> None:
    with receiving() as all_of_it, receiving() as staging, receiving() as other:
        trivet.ok("notify", "add", all_of_it.url)
        trivet.ok("notify", "add", "-", "-d", "staging", input=f"{staging.url}\n")
        trivet.ok("notify", "add", other.url, "-a", "teapot")
        repository.commit(shop("v1"))
        trivet.ok("deploy")
        trivet.ok("deploy", "-d", "staging")
    assert [request.json["data"]["deploy"] for request in all_of_it.received] == ["production", "staging"]
    assert [request.json["data"]["deploy"] for request in staging.received] == ["staging"]
    assert other.received == []
    assert [line.split("  ")[-1].strip() for line in trivet.ok("notify").out.splitlines()] == [
        "WAITING",
        "every deploy",
        "shop/staging",
        "every deploy of teapot",
    ]


def test_a_redirect_is_not_followed(trivet: Trivet) -> None:
    with receiving(*[307] * 3) as receiver:
        trivet.ok("notify", "add", receiver.url)
        done = trivet.run("notify", "test")
        _says(
            done,
            50,
            f"error: 1 notification waits for {_shown(receiver)} (it answered 307)\n"
            "hint:  It waits, and goes out with the next release or test. Is the URL right, and does its host answer?\n",
        )
        assert {request.path for request in receiver.received} == {"/hooks/trivet?token=let-me-in"}
        assert trivet.ok("notify", "test").out == f"1: {_shown(receiver)} has taken it\n"
        assert [request.json["type"] for request in receiver.received[3:]] == ["notify.test"] * 2


def test_only_a_certificate_that_this_machine_trusts_will_do(trivet: Trivet, tmp_path: Path) -> None:
    certificate = _certificate(tmp_path)
    with receiving(certificate=certificate) as receiver:
        trivet.environment["SSL_CERT_FILE"] = "/dev/null"
        trivet.ok("notify", "add", receiver.url)
        done = trivet.run("notify", "test")
        assert done.status == 50
        assert "certificate verify failed" in done.err.lower()
        assert receiver.received == []
        trivet.environment["SSL_CERT_FILE"] = str(certificate)
        trivet.ok("notify", "test")
        assert len(receiver.received) == 2


def _certificate(folder: Path) -> Path:
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
    built = built.not_valid_after(now + datetime.timedelta(days=1)).add_extension(address, critical=False)
    path = folder / "receiver.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + built.sign(key, hashes.SHA256()).public_bytes(pem))
    return path


def test_urls_and_secrets_are_for_their_owner_alone(trivet: Trivet) -> None:
    url = "https://hooks.example.org/T1/let-me-in"
    assert "let-me-in" not in trivet.ok("notify", "add", "-", input=url).out
    assert "let-me-in" not in trivet.ok("notify").out + trivet.ok("notify", "--json").out
    assert trivet.ok("notify", "--reveal", "--json").json()[0]["url"] == url
    files = [path for path in (trivet.home / "notify").rglob("*") if path.is_file()]
    assert files
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert (trivet.home / "notify").stat().st_mode & 0o77 == 0


def test_what_is_removed_is_told_of_nothing_any_more_and_its_number_stays_its_own(trivet: Trivet) -> None:
    with receiving() as receiver, receiving(*[500] * 9) as refusing:
        trivet.ok("notify", "add", refusing.url)
        assert trivet.run("notify", "test", "1").status == 50
        assert trivet.ok("notify", "remove", "1").out == f"1: {_shown(refusing)} is told of nothing any more\n"
        assert list((trivet.home / "notify" / "outbox").iterdir()) == []
        assert trivet.ok("notify", "add", receiver.url).out.startswith("2: ")
        trivet.ok("notify", "test")
        assert len(receiver.received) == 1


def test_nobody_to_notify(trivet: Trivet) -> None:
    assert trivet.ok("notify").err == "Nobody is notified. `trivet notify add URL` has a URL told of releases.\n"
    _says(
        trivet.run("notify", "test"), 2, "error: Nobody is notified.\nhint:  Add a URL first: trivet notify add URL\n"
    )
    for command in (("remove", "3"), ("secret", "3"), ("test", "3")):
        _says(
            trivet.run("notify", *command),
            2,
            "error: There is no notification 3.\nhint:  There is none: `trivet notify add URL` makes one.\n",
        )


@pytest.mark.parametrize("url", ["hooks.example.org", "-"])
def test_what_is_no_url_is_refused(trivet: Trivet, url: str) -> None:
    _says(
        trivet.run("notify", "add", url, input="hooks.example.org\n"),
        2,
        "error: That is no URL of the web: it has to start with https:// or http:// and a host.\n"
        "hint:  Write it like https://hooks.example.org/trivet.\n",
    )
    assert not (trivet.home / "notify").exists()
