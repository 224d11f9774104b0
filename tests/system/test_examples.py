"""The examples, built for real and asked for real; among them a whole published site that nobody here wrote."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

import trivet as package
from support.command import Trivet, eventually, fetch
from support.toolchains import needs, with_go, with_rust

_LONGEST_S = 360.0  # one with a hundred packages, on a slow machine that does something else as well
ROOT = Path(package.__file__).parent.parent.parent
pytestmark = [pytest.mark.slow, pytest.mark.fetches]


@pytest.fixture
def deploy(trivet: Trivet) -> Callable[[str], str]:
    """Deploys an example from this repository's commit; the address it is reached at."""

    def deploy_example(name: str) -> str:
        done = trivet.at(ROOT).run("deploy", "--dir", f"examples/{name}", "--json", timeout_s=_LONGEST_S)
        assert done.status == 0, done.err
        return str(done.json()["address"])

    return deploy_example


def test_the_guestbook_takes_an_entry_and_keeps_it(trivet: Trivet, deploy: Callable[[str], str]) -> None:
    import urllib.request

    url = deploy("guestbook")
    trivet.ok("scale", "-a", "guestbook", "worker=1")
    with urllib.request.urlopen(f"{url}/", data=b"name=Ada&text=Hello+there", timeout=60) as answer:
        page = answer.read().decode()
    assert "<strong>Ada</strong>: Hello there" in page
    stylesheet = page.split('href="')[1].split('"')[0]
    assert fetch(url + stylesheet)[1].startswith("body{font:18px")
    eventually(lambda: "1 entries, 2 words" in fetch(url)[1], what="the worker's count")
    trivet.ok("config", "set", "-a", "guestbook", "TITLE=My guests")
    assert "<h1>My guests</h1>" in fetch(url)[1]
    assert "<strong>Ada</strong>" in fetch(url)[1]
    log = trivet.ok("logs", "-a", "guestbook").out
    assert "v1 release.1 | migration 1 applied" in log.replace("  ", " ")
    assert "worker.1" in log


def test_a_static_site_is_served_with_its_folder_pages(deploy: Callable[[str], str]) -> None:
    url = deploy("static-site")
    status, page = fetch(f"{url}/")
    assert status == 200
    assert "<html" in page
    assert fetch(f"{url}/Procfile")[0] == 404
    assert fetch(f"{url}/nosuch")[0] == 404


def test_an_app_with_requirements_and_no_procfile_gets_its_obvious_process(deploy: Callable[[str], str]) -> None:
    assert fetch(deploy("requirements"))[0] == 200


def test_an_app_with_nothing_but_a_procfile(deploy: Callable[[str], str]) -> None:
    assert fetch(deploy("procfile-only"))[0] == 200


@needs("node", "npm")
def test_an_express_app_counts_with_its_worker(trivet: Trivet, deploy: Callable[[str], str]) -> None:
    import urllib.request

    url = deploy("express")
    trivet.ok("scale", "-a", "tally", "worker=1")
    urllib.request.urlopen(urllib.request.Request(f"{url}/votes/tea", method="POST"), timeout=60).close()
    eventually(lambda: '"totals":{"tea":1}' in fetch(url)[1], what="the worker's count")
    trivet.ok("config", "set", "-a", "tally", "TITLE=Drinks")
    assert fetch(url) == (200, '{"title":"Drinks","totals":{"tea":1}}')
    done = trivet.ok("run", "-a", "tally", "--", "node", "-p", "require('express/package.json').version")
    assert done.out.strip() == "4.22.3"


@needs("node", "npm")
def test_a_pnpm_workspace_is_built_and_answers(deploy: Callable[[str], str]) -> None:
    assert fetch(f"{deploy('pnpm-workspace')}/?name=Ada&language=fr") == (200, "Bonjour, Ada!")


@needs("node", "npm")
def test_a_site_that_vite_builds_is_served(deploy: Callable[[str], str]) -> None:
    url = deploy("vite-site")
    status, page = fetch(url)
    assert (status, "<h1>Postcard</h1>" in page) == (200, True)
    script = page.split('src="')[1].split('"')[0]
    assert script.startswith("/assets/index-")
    assert "production" in fetch(url + script)[1]
    assert fetch(f"{url}/robots.txt")[0] == 200
    assert fetch(f"{url}/package.json")[0] == 404


def test_an_app_in_go_answers_with_its_template(trivet: Trivet, deploy: Callable[[str], str]) -> None:
    trivet.environment = {**trivet.environment, "PATH": with_go()["PATH"]}
    assert fetch(deploy("go")) == (200, "<!doctype html>\n<title>Go</title>\n<h1>Hello from Go.</h1>\n")


@needs("ruby", "bundler")
def test_an_app_in_ruby_answers_with_its_vendored_gem(deploy: Callable[[str], str]) -> None:
    assert fetch(deploy("ruby")) == (200, "Hello from Ruby.\n")


@needs("cargo", "cc")
def test_an_app_in_rust_answers_with_its_vendored_crate(trivet: Trivet, deploy: Callable[[str], str]) -> None:
    trivet.environment = {**trivet.environment, "RUSTUP_HOME": with_rust()["RUSTUP_HOME"]}
    assert fetch(deploy("rust")) == (200, "Hello from Rust.\n")


@needs("php", "php-cgi", "composer", "lighttpd")
def test_an_app_in_php_answers_behind_a_web_server(deploy: Callable[[str], str]) -> None:
    url = deploy("php")
    assert fetch(url) == (200, "Hello from PHP.\n")
    assert fetch(f"{url}/any/path") == (200, "Hello from PHP.\n")
    assert fetch(f"{url}/composer.json")[1] == "Hello from PHP.\n"


def test_a_whole_published_site_is_built_migrated_and_served(trivet: Trivet, deploy: Callable[[str], str]) -> None:
    url = deploy("pretalx")
    status, page = fetch(f"{url}/orga/login/")
    assert status == 200
    assert "pretalx" in page
    stylesheet = page.split('href="/static/', 1)[-1].split("/static/", 1)[-1].split(" ")[0].split('"')[0]
    assert fetch(f"{url}/static/{stylesheet}")[0] == 200
    database = trivet.home / "apps" / "conference" / "deploys" / "production" / "storage" / "db.sqlite3"
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        assert connection.execute("SELECT count(*) FROM django_migrations").fetchone()[0] > 100
    finally:
        connection.close()
    done = trivet.ok("run", "-a", "conference", "python", "-c", "import pretalx; print(pretalx.__file__)")
    assert f"{trivet.home}/apps/conference/builds/" in done.out
