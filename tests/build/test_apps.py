"""Real apps: built with their packages from PyPI, started, and asked. Needs the network."""

import os
import shutil
import time
import urllib.request
from pathlib import Path

import pytest
import uv

from support.building import Builder
from support.command import fetch
from support.repository import Repository
from support.watched import watched
from trivet.build import verify_layer
from trivet.errors import LockfileError, StepFailed
from trivet.host.tree import read_tree
from trivet.model.build import Build
from trivet.model.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.fetches]

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
PYPROJECT = """
[project]
name = "shop"
version = "0"
requires-python = ">=3.10"
dependencies = [{dependencies}]

[dependency-groups]
dev = ["iniconfig==2.1.0"]
"""
APP = """
import sys, flask

app = flask.Flask(__name__)

@app.get("/")
def home():
    return "v1 " + " ".join(sorted({p for p in sys.path if "packages" in p}))
"""

PACKAGE = """
import os
from http.server import HTTPServer, SimpleHTTPRequestHandler

def serve():
    HTTPServer(("127.0.0.1", int(os.environ["PORT"])), SimpleHTTPRequestHandler).serve_forever()
"""
DJANGO_SETTINGS = """
import os

SECRET_KEY = os.environ["SECRET_KEY"]
STATIC_URL = "static/"
STATIC_ROOT = "static"
ROOT_URLCONF = "site_.urls"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django.contrib.staticfiles", "shopfront"]
"""
DJANGO_MANAGE = """
import os, sys
from django.core.management import execute_from_command_line

os.environ["DJANGO_SETTINGS_MODULE"] = "site_.settings"
execute_from_command_line(sys.argv)
"""
DJANGO_WSGI = """
import os
from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "site_.settings"
application = get_wsgi_application()
"""
DJANGO_URLS = """
from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("", lambda request: HttpResponse("django"))]
"""


def _commit_example(repository: Repository, name: str) -> None:
    shutil.copytree(EXAMPLES / name, repository.path, dirs_exist_ok=True)
    repository.commit({})


def _lock(repository: Repository, *dependencies: str) -> None:
    listed = ", ".join(f'"{name}"' for name in dependencies)
    repository.write({"pyproject.toml": PYPROJECT.format(dependencies=listed)})
    argv = (uv.find_uv_bin(), "lock", "--quiet", "--python", "/usr/bin/python3")
    assert os.spawnve(os.P_WAIT, argv[0], (*argv, "--directory", str(repository.path)), dict(os.environ)) == 0


def _head(url: str, **headers: str) -> tuple[int, dict[str, str]]:
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers)


def _verify(builder: Builder, build: Build) -> None:
    for layer in build.layers:
        verify_layer(builder.home, layer)


@pytest.mark.parametrize(
    ("example", "answer"),
    [
        ("procfile-only", "Hello from a Procfile.\n"),
        ("requirements", "Hello from requirements.txt.\n"),
        ("static-site", "<h1>Trivet serves files</h1>"),
    ],
)
def test_an_example_is_built_and_answers(builder: Builder, example: str, answer: str) -> None:
    _commit_example(builder.repository, example)
    build = builder.build().build
    with builder.serve(build) as url:
        status, body = fetch(url)
    assert status == 200
    assert answer in body
    _verify(builder, build)


def test_the_app_sees_no_package_of_the_machine(builder: Builder) -> None:
    _lock(builder.repository, "flask==3.0.3", "gunicorn==23.0.0")
    build = builder.commit({"app.py": APP}).build
    assert build.runtime == "python"
    assert build.tools["python"].path == os.path.realpath("/usr/bin/python3")
    assert set(build.tools) == {"python", "uv"}
    dependencies = builder.bundle(build) / "dependencies"
    with builder.serve(build) as url:
        _, body = fetch(url)
    (folder,) = body.split()[1:]
    assert Path(folder).resolve().is_relative_to(dependencies.resolve())
    names = {path.name for path in Path(folder).iterdir()}
    assert "flask" in names
    assert "iniconfig" not in names
    _verify(builder, build)


def test_unchanged_dependencies_are_found_without_uv(builder: Builder) -> None:
    _lock(builder.repository, "iniconfig==2.1.0")
    one = builder.commit({"app.py": APP, "Procfile": "web: python app.py"}).build
    two = builder.commit({"app.py": APP.replace("v1", "v2")}).build
    assert builder.told.steps == [f"exporting {two.source.short} Change", "dependencies: unchanged", "compiling app"]
    assert one.layers[0] == two.layers[0]
    assert one.layers[1] != two.layers[1]


def test_the_same_source_gives_the_same_bytes_in_another_home(builder: Builder, tmp_path: Path) -> None:
    _lock(builder.repository, "flask==3.0.3", "gunicorn==23.0.0")
    one = builder.commit({"app.py": APP}).build
    time.sleep(1.1)  # two builds in one second could agree on a time that they must not hold
    other = Builder(Home(tmp_path / "a" / "much" / "longer" / "home"), builder.repository)
    two = other.build().build
    assert (one.id, one.layers) == (two.id, two.layers)
    for layer in one.layers:
        for path in (builder.home.layers / layer.digest).rglob("*"):
            if path.is_file():
                assert str(tmp_path).encode() not in path.read_bytes(), path


def test_a_build_is_found_with_little_work(builder: Builder) -> None:
    """Counted, not timed: bench/flows.py times it."""
    _commit_example(builder.repository, "requirements")
    builder.build()
    with watched("subprocess.Popen") as started, watched("open") as opened:
        assert builder.build().found
    assert {Path(str(program)).name.rstrip(".0123456789") for program, *_ in started} == {"git", "python"}
    assert len(started) < 12
    assert len(opened) < 100
    assert builder.told.steps == []


def test_a_build_whose_interpreter_changed_is_made_again(builder: Builder) -> None:
    _lock(builder.repository, "iniconfig==2.1.0")
    builder.commit({"Procfile": "web: python app.py"})
    document = next(builder.home.builds(builder.build().build.app).glob("*/build.json"))
    document.write_text(document.read_text().replace('"/usr/bin/', '"/nowhere/bin/'))
    assert not builder.build().found


def test_a_lockfile_that_does_not_match_is_an_error_that_says_what_mends_it(builder: Builder) -> None:
    _lock(builder.repository, "click==8.1.7")
    builder.repository.write({"pyproject.toml": PYPROJECT.format(dependencies='"click==8.1.8"')})
    with pytest.raises(LockfileError) as caught:
        builder.commit({"Procfile": "web: python app.py"})
    assert caught.value.message == "uv.lock does not match its manifest."
    assert caught.value.hint == "Run `uv lock` and commit uv.lock."
    assert any("needs to be updated" in line for line in caught.value.detail)


def test_a_package_that_is_not_there_is_told_in_uvs_words(builder: Builder) -> None:
    with pytest.raises(StepFailed) as caught:
        builder.commit({"requirements.txt": "iniconfig==0.0.999\n", "Procfile": "web: x"})
    assert caught.value.message == "Fetching 1 package from requirements.txt ended with exit status 1."
    assert caught.value.hint == (
        "uv's words say which line of requirements.txt it is about. If a package has no wheel for this machine, add to "
        'trivet.toml, under [build]: source_distributions = ["NAME"] `trivet builds log failed` shows all the output.'
    )
    assert any("iniconfig==0.0.999" in line for line in caught.value.detail)


@pytest.mark.parametrize(
    ("files", "asks"),
    [
        ({".python-version": "3.99\n", "requirements.txt": ""}, ".python-version"),
        (
            {
                "pyproject.toml": '[project]\nname = "x"\nversion = "0"\nrequires-python = ">=3.99"\n',
                "requirements.txt": "",
            },
            "pyproject.toml",
        ),
    ],
)
def test_a_python_that_is_not_there_is_an_error(builder: Builder, files: dict[str, str | None], asks: str) -> None:
    with pytest.raises(StepFailed) as caught:
        builder.commit({**files, "Procfile": "web: x"})
    wanted = "3.99" if asks == ".python-version" else ">=3.99"
    assert caught.value.message == f"Fetching Python {wanted} ended with exit status 2."
    assert caught.value.hint == (
        f"Install a Python that suits, for example with `uv python install`, or change what {asks} asks for. "
        "`trivet builds log failed` shows all the output."
    )
    assert any("3.99" in line for line in caught.value.detail)


def test_settings_in_folders_above_the_home_do_not_get_in(builder: Builder, tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("3.99\n")
    (tmp_path / "uv.toml").write_text('index-url = "http://127.0.0.1:9/simple"\n')
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'above'\nversion = '0'\nrequires-python = '>=3.99'\n")
    build = builder.commit({"requirements.txt": "iniconfig==2.1.0\n", "Procfile": "web: x"}).build
    assert build.builder == "python"


def test_a_project_that_is_a_package_is_installed_without_links_to_the_source(builder: Builder) -> None:
    pyproject = PYPROJECT.format(dependencies="") + (
        '[build-system]\nrequires = ["hatchling==1.27.0"]\nbuild-backend = "hatchling.build"\n'
        '[project.scripts]\nserve-shop = "shop:serve"\n'
    )
    builder.repository.write({"pyproject.toml": pyproject, "src/shop/__init__.py": PACKAGE})
    argv = (uv.find_uv_bin(), "lock", "--quiet", "--python", "/usr/bin/python3")
    assert os.spawnve(os.P_WAIT, argv[0], (*argv, "--directory", str(builder.repository.path)), dict(os.environ)) == 0
    build = builder.commit({"Procfile": "web: serve-shop"}).build
    assert (builder.bundle(build) / "packages" / "shop" / "__init__.py").is_file()
    with builder.serve(build) as url:
        assert fetch(url)[0] == 200
    _verify(builder, build)


def test_assets_are_made_by_commands_that_see_the_dependencies(builder: Builder) -> None:
    toml = (
        "[build]\ncommands = ['python manage.py collectstatic --noinput']\n"
        "[build.environment]\nSECRET_KEY = 'only-for-the-build'\n"
    )
    _lock(builder.repository, "django==5.2.7", "gunicorn==23.0.0")
    build = builder.commit(
        {
            "trivet.toml": toml,
            "manage.py": DJANGO_MANAGE,
            "site_/__init__.py": "",
            "site_/settings.py": DJANGO_SETTINGS,
            "site_/wsgi.py": DJANGO_WSGI,
            "site_/urls.py": DJANGO_URLS,
            "shopfront/__init__.py": "",
            "shopfront/static/shop.css": "body {}",
        }
    ).build
    assert builder.read(build, "static/shop.css") == "body {}"
    assert [process.command for process in build.processes] == [
        "gunicorn site_.wsgi:application --bind 127.0.0.1:$PORT"
    ]
    with builder.serve(build, environment={"SECRET_KEY": "x"}) as url:
        assert fetch(url) == (200, "django")


def test_bytecode_is_compiled_for_the_app_and_a_file_that_is_no_python_does_not_matter(builder: Builder) -> None:
    files = {"requirements.txt": "iniconfig==2.1.0\n", "Procfile": "web: x", "app.py": "x = 1\n", "broken.py": "{{ x\n"}
    build = builder.commit(files).build
    (compiled,) = (builder.bundle(build) / "app" / "__pycache__").iterdir()
    assert compiled.name.startswith("app.")
    assert int.from_bytes(compiled.read_bytes()[4:8], "little") == 0b01  # unchecked hash, PEP 552
    assert list((builder.bundle(build) / "dependencies").glob("lib/*/site-packages/iniconfig/__pycache__/*.pyc"))
    assert any("broken.py" in line for line in builder.told.lines)
    before = read_tree(builder.bundle(build) / "app").digest
    with builder.start(build, "python -c 'import app, iniconfig'", {}) as process:
        assert process.wait(60) == 0
    assert read_tree(builder.bundle(build) / "app").digest == before


SITE = {
    "index.html": "<h1>home v1</h1>",
    "docs/index.html": "docs",
    "css/site.css": "body {}",
    "404.html": "<h1>lost</h1>",
    ".env": "SECRET=1",
    ".git-blame-ignore-revs": "",
    ".well-known/security.txt": "Contact: x",
    "trivet.toml": "",
}


def test_a_static_site_is_served_as_people_expect(builder: Builder) -> None:
    build = builder.commit(dict(SITE)).build
    with builder.serve(build) as url:
        assert fetch(f"{url}/") == (200, "<h1>home v1</h1>")
        assert fetch(f"{url}/docs/") == (200, "docs")
        assert fetch(f"{url}/docs") == (200, "docs")
        assert _head(f"{url}/css/site.css")[1]["Content-Type"] == 'text/css; charset="utf-8"'
        assert fetch(f"{url}/.well-known/security.txt") == (200, "Contact: x")
        for hidden in (
            ".env",
            "trivet.toml",
            ".git-blame-ignore-revs",
            "nothing",
            "../etc/passwd",
            "%2e%2e/etc/passwd",
        ):
            assert fetch(f"{url}/{hidden}") == (404, "<h1>lost</h1>")


def test_after_a_rollback_a_browser_gets_the_old_file_and_not_304(builder: Builder) -> None:
    old = builder.commit(dict(SITE)).build
    new = builder.commit({"index.html": "<h1>home v2</h1>"}).build
    with builder.serve(new) as url:
        _, headers = _head(f"{url}/")
        tag = headers["ETag"]
        assert tag.startswith('"')
        assert "Last-Modified" not in headers
        assert _head(f"{url}/", If_None_Match=tag)[0] == 304
    with builder.serve(old) as url:
        future = "Fri, 01 Jan 2100 00:00:00 GMT"
        assert _head(f"{url}/", If_None_Match=tag, If_Modified_Since=future)[0] == 200
        assert _head(f"{url}/", If_Modified_Since=future)[0] == 200
        assert _head(f"{url}/css/site.css")[1]["ETag"] != tag


def test_a_public_folder_is_served_and_made_by_commands(builder: Builder) -> None:
    toml = "[build]\ncommands = ['mkdir -p public && echo made > public/made.txt']\n"
    build = builder.commit({"public/index.html": "public", "secret.txt": "s", "trivet.toml": toml}).build
    with builder.serve(build) as url:
        assert fetch(f"{url}/") == (200, "public")
        assert fetch(f"{url}/made.txt") == (200, "made\n")
        assert fetch(f"{url}/secret.txt")[0] == 404


def test_of_a_generated_site_only_the_public_folder_is_served(builder: Builder) -> None:
    generate = "import os\nos.mkdir('public')\nopen('public/index.html', 'w').write('made')\n"
    toml = "[build]\nbuilder = 'static'\ncommands = ['python3 generate.py']\n"
    build = builder.commit({"generate.py": generate, "index.html": "template", "trivet.toml": toml}).build
    assert builder.told.notices == [f"web: {build.processes[0].command} (no Procfile: the builder's choice)"]
    with builder.serve(build) as url:
        assert fetch(f"{url}/") == (200, "made")
        assert fetch(f"{url}/generate.py")[0] == 404


@pytest.mark.parametrize(
    "command",
    ["echo made > site.html", "mkdir public", "rm -f index.html", "mkdir -p public/css; touch index.html"],
)
def test_a_static_site_without_a_page_is_an_error(builder: Builder, command: str) -> None:
    toml = f"[build]\nbuilder = 'static'\ncommands = ['{command}']\n"
    with pytest.raises(StepFailed) as caught:
        builder.commit({"generate.py": "", "trivet.toml": toml})
    assert caught.value.message == (
        "There is nothing to serve: no file in a folder public/, and without that folder no index.html at the top."
    )
    assert caught.value.hint == (
        "Have [build] commands write the pages into public/, or commit an index.html. "
        "`trivet builds log failed` shows all the output."
    )


def test_a_static_site_with_a_procfile_serves_what_that_says(builder: Builder) -> None:
    files = {"dist/page.txt": "mine", "Procfile": "web: python3 -m http.server --directory dist $PORT\n"}
    build = builder.commit({**files, "trivet.toml": "[build]\nbuilder = 'static'\n"}).build
    with builder.serve(build) as url:
        assert fetch(f"{url}/page.txt") == (200, "mine")
