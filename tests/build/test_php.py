"""PHP: what is planned for composer.lock, and packages really installed, from a folder of the commit."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from support.building import Builder
from support.planning import error_of
from support.toolchains import needs
from trivet.errors import DetectionError, LockfileError, StepFailed
from trivet.model.home import Home

pytestmark = needs("php", "composer")

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "php"


def test_packages_without_a_lockfile_are_an_error() -> None:
    assert error_of({"composer.json": "{}", "Procfile": "web: x"}, LockfileError) == (
        "There is composer.json, but no composer.lock that says which versions to install.",
        "Run `composer update` and commit composer.lock.",
    )


@pytest.mark.parametrize("files", [{"composer.json": "{}", "composer.lock": "{}"}, {"index.php": ""}])
def test_an_app_without_a_procfile_is_an_error_that_shows_one(files: dict[str, str]) -> None:
    assert error_of(files, DetectionError) == (
        (
            "There is no Procfile, and no obvious way to start this app: PHP needs a web server in front of it, "
            "and which one is yours to say."
        ),
        (
            "Commit a file called Procfile, for example with `web: lighttpd -D -f lighttpd.conf` (docs/how-to/php-apps.md has "
            "the lighttpd.conf), or `web: php YOUR_SERVER.php` for a server that is written in PHP. "
            "`php -S` is for development only."
        ),
    )


def test_the_how_to_shows_the_configuration_of_the_example() -> None:
    page = (EXAMPLE.parent.parent / "docs" / "how-to" / "php-apps.md").read_text()
    assert (EXAMPLE / "lighttpd.conf").read_text() in page


@pytest.fixture
def app(builder: Builder) -> Builder:
    """A builder with the example in its repository, which says at once what it has to say."""
    shutil.copytree(EXAMPLE, builder.repository.path, dirs_exist_ok=True)
    return builder


def _says(builder: Builder) -> str:
    build = builder.build().build
    argv = ("php", "public/index.php")
    return subprocess.run(argv, cwd=builder.bundle(build) / "app", capture_output=True, check=True).stdout.decode()


@pytest.mark.slow
def test_packages_are_installed_and_the_same_in_another_home(app: Builder, tmp_path: Path) -> None:
    app.repository.commit({})
    assert _says(app) == "Hello from PHP.\n"
    assert list(zip(app.told.steps[1:], app.told.phases[1:], strict=True)) == [
        ("checking composer.lock against composer.json", "compile"),
        ("installing packages from composer.lock", "fetch"),
        ("writing the autoloader", "compile"),
    ]
    one = app.build().build
    two = Builder(Home(tmp_path / "a" / "much" / "longer" / "home"), app.repository).build().build
    assert (one.id, one.layers) == (two.id, two.layers)


@pytest.mark.slow
def test_a_committed_vendor_folder_is_used_as_it_is(app: Builder) -> None:
    app.repository.commit({})
    vendor = app.bundle(app.build().build) / "app" / "vendor"
    shutil.copytree(vendor, app.repository.path / "vendor")
    subprocess.run(("chmod", "-R", "u+w", app.repository.path / "vendor"), check=True)
    app.repository.git("add", "--force", "vendor")
    app.repository.git("commit", "--quiet", "--message=Vendor")
    assert _says(app) == "Hello from PHP.\n"
    assert set(app.told.phases) == {None, "compile"}


@pytest.mark.slow
def test_scripts_of_the_app_run_after_the_packages_are_there_without_the_network(app: Builder) -> None:
    composer = json.loads((EXAMPLE / "composer.json").read_text())
    said = {name: f"echo {name} >> said.txt" for name in ("pre-install-cmd", "post-install-cmd", "post-autoload-dump")}
    app.repository.commit({"composer.json": json.dumps({**composer, "scripts": said})})
    assert app.read(app.build().build, "said.txt") == "post-autoload-dump\n"


@pytest.mark.slow
def test_a_lockfile_that_does_not_match_is_an_error(app: Builder) -> None:
    composer = json.loads((EXAMPLE / "composer.json").read_text())
    with pytest.raises(LockfileError) as caught:
        app.commit({"composer.json": json.dumps({**composer, "require": {"example/greeting": ">=1.0.0"}})})
    assert caught.value.message == "composer.lock does not match its manifest."
    assert caught.value.hint == (
        "Composer's words say which of the two is wrong. Run `composer update --lock` and commit composer.lock."
    )
    assert any("not up to date" in line for line in caught.value.detail)


@pytest.mark.slow
def test_a_php_that_does_not_suit_is_told_in_composers_words(app: Builder) -> None:
    lock = json.loads((EXAMPLE / "composer.lock").read_text())
    lock["packages"][0]["require"] = {"php": ">=99"}
    with pytest.raises(StepFailed) as caught:
        app.commit({"composer.lock": json.dumps(lock)})
    assert caught.value.message == "Installing packages from composer.lock ended with exit status 2."
    assert any("requires php >=99" in line for line in caught.value.detail)
