"""Domains, through a real Caddy that signs its own certificates."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import caddy
from support.caddy import Caddy, running
from support.command import Trivet, eventually, own_port
from support.repository import Repository
from support.world import SERVER

pytestmark = pytest.mark.skipif(caddy.PROGRAM is None, reason="no Caddy here; CI installs it: scripts/toolchains")

FILES = {"Procfile": "web: exec python3 -I -S server.py\n", "server.py": SERVER, "trivet.toml": 'app = "shop"\n'}


@pytest.fixture
def front(tmp_path: Path, trivet: Trivet) -> Iterator[Caddy]:
    with running(tmp_path / "caddy", (int(own_port()), int(own_port()))) as found:
        trivet.environment["TRIVET_CADDY"] = f"unix:{found.admin}"
        yield found


@pytest.fixture
def shop(trivet: Trivet, repository: Repository) -> Trivet:
    repository.commit(FILES)
    trivet.ok("deploy")
    return trivet


def test_a_domain_leads_to_the_deploy_whatever_is_released(front: Caddy, shop: Trivet) -> None:
    assert shop.ok("domains").out == ""
    done = shop.ok("domains", "add", "Shop.Example.ORG", "--certificate", "internal")
    assert done.out == "https://shop.example.org leads to shop/production\n"
    eventually(lambda: front.get("shop.example.org") == "VERSION - v1\n")

    changes = front.changes()
    shop.ok("config", "set", "GREETING=hello")
    shop.ok("rollback", "v1", "--yes")
    assert front.get("shop.example.org") == "VERSION - v3\n"
    assert front.changes() == changes, "a release touches Caddy"

    address = shop.ok("domains", "--json").json()[0]["address"]
    moved = int(own_port())
    shop.ok("deploy", "--port", str(moved), "-m", "another address")
    eventually(lambda: front.get("shop.example.org") == "VERSION - v4\n")
    assert shop.ok("domains", "--json").json() == [
        {
            "domain": "shop.example.org",
            "app": "shop",
            "deploy": "production",
            "address": f"http://127.0.0.1:{moved}",
            "certificate": "internal",
        }
    ]
    assert address != f"http://127.0.0.1:{moved}"

    assert shop.ok("domains", "remove", "shop.example.org").out == (
        "shop.example.org does not lead to shop/production any more\n"
    )
    assert front.get("shop.example.org") == ""
    assert shop.ok("domains").err.startswith("No domain leads to a deploy.")


def test_a_caddy_that_was_started_anew_is_told_again(front: Caddy, shop: Trivet, tmp_path: Path) -> None:
    shop.ok("domains", "add", "shop.test", "--certificate", "internal")
    assert shop.ok("domains", "sync").out == "Caddy knew all domains already\n"
    ports = (int(own_port()), int(own_port()))
    with running(tmp_path / "another", ports) as another:
        shop.environment["TRIVET_CADDY"] = f"unix:{another.admin}"
        assert shop.ok("domains", "sync").out == "Caddy knows all domains again\n"
        eventually(lambda: another.get("shop.test") == "VERSION - v1\n")
        shop.ok("apps", "destroy", "shop", "--confirm", "shop")
        assert another.get("shop.test") == ""
        assert shop.ok("domains", "--json").json() == []


def test_what_else_caddy_serves_stays_as_it_is(shop: Trivet, tmp_path: Path) -> None:
    ports = (int(own_port()), int(own_port()))
    own: dict[str, Any] = {
        "match": [{"host": ["blog.test"]}],
        "handle": [{"handler": "static_response", "body": "a blog"}],
    }
    servers = {"mine": {"listen": [f":{ports[1]}"], "routes": [own], "automatic_https": {"disable_redirects": True}}}
    with running(tmp_path / "caddy", ports, {"servers": servers}) as front:
        shop.environment["TRIVET_CADDY"] = f"unix:{front.admin}"
        before = front.config()
        shop.ok("domains", "add", "shop.test", "--certificate", "internal")
        eventually(lambda: front.get("shop.test") == "VERSION - v1\n")
        assert own in front.config()["apps"]["http"]["servers"]["mine"]["routes"]
        shop.ok("domains", "remove", "shop.test")
        assert front.config()["apps"]["http"] == before["apps"]["http"]


def test_a_caddy_that_is_gone_keeps_no_domain(front: Caddy, shop: Trivet, tmp_path: Path) -> None:
    for name in ("one.test", "two.test"):
        shop.ok("domains", "add", name, "--certificate", "internal")
    there, shop.environment["TRIVET_CADDY"] = shop.environment["TRIVET_CADDY"], f"unix:{tmp_path}/none.sock"
    assert shop.run("domains", "remove", "one.test").err.startswith("error: Caddy does not answer at ")
    assert shop.ok("domains", "remove", "one.test", "--without-caddy").out == (
        "one.test does not lead to shop/production any more\n"
    )
    assert [each["domain"] for each in shop.ok("domains", "--json").json()] == ["two.test"]
    destroyed = shop.ok("apps", "destroy", "shop", "--confirm", "shop")
    assert "Caddy may still know its domains: Caddy does not answer at " in destroyed.err
    assert destroyed.err.count("Once it answers: trivet domains sync") == 1
    assert shop.ok("domains", "--json").json() == []
    shop.environment["TRIVET_CADDY"] = there
    assert "one.test" in json.dumps(front.config())
    assert shop.ok("domains", "sync").out == "Caddy knows all domains again\n"
    assert "one.test" not in json.dumps(front.config())


def test_without_caddy_only_domains_fail(shop: Trivet, tmp_path: Path) -> None:
    shop.environment["TRIVET_CADDY"] = f"unix:{tmp_path}/none.sock"
    done = shop.run("domains", "add", "shop.test")
    assert (done.status, done.out) == (50, "")
    assert done.err == (
        f"error: Caddy does not answer at {tmp_path}/none.sock: No such file or directory.\n"
        "hint:  Start it (`systemctl start caddy-api`, or `caddy run`), or say where its admin API listens: TRIVET_CADDY\n"
    )
    assert json.loads(shop.ok("domains", "--json").out) == []
    shop.ok("config", "set", "A=1")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (
            ("add", "http://shop.test/"),
            2,
            (
                "error: 'http://shop.test/' is not a domain.\n"
                "hint:  Write it without http:// and without a path: trivet domains add example.org\n"
            ),
        ),
        (
            ("remove", "shop.test"),
            2,
            "error: There is no domain shop.test.\nhint:  There is none: `trivet domains add DOMAIN` makes one.\n",
        ),
    ],
)
def test_mistakes_are_told(shop: Trivet, arguments: tuple[str, ...], status: int, words: str) -> None:
    done = shop.run("domains", *arguments)
    assert (done.status, done.out, done.err) == (status, "", words)


def test_a_deploy_that_is_reached_nowhere_has_no_domain(trivet: Trivet, repository: Repository) -> None:
    repository.commit({"Procfile": "worker: exec sleep 1000\n", "trivet.toml": 'app = "shop"\n'})
    trivet.ok("deploy")
    done = trivet.run("domains", "add", "shop.test")
    assert (done.status, done.out) == (40, "")
    assert done.err == (
        "error: shop/production is reached nowhere yet, so no domain can lead to it.\n"
        "hint:  Deploy it first, with a `web` process: trivet deploy\n"
    )
