"""Builders: what they recognise, what they plan, and what they say when they cannot. No process, no file."""

from collections.abc import Mapping

import pytest

from trivet.build.detect import choose_builder
from trivet.build.processes import process_types, tell_defaults
from trivet.errors import BuildError, DetectionError, InvalidFile, LockfileError, TrivetError
from trivet.model.build_plan import BuildPlan
from trivet.model.settings import Settings, parse_settings

PYPROJECT = '[project]\nname = "shop"\nversion = "0"\ndependencies = []\n'
FLASK = "from flask import Flask\n\napp = Flask(__name__)\n"
FASTAPI = "import fastapi\n\napi: fastapi.FastAPI = fastapi.FastAPI()\n"
_NAME_COMMANDS = (
    "Commit a file called Procfile with a command for each process type, for example `web: ./YOUR-SERVER --port $PORT`."
)


class Tree:
    """A source that is only text."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._texts = dict(files)

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(sorted(self._texts))

    def read(self, path: str) -> str | None:
        return self._texts.get(path)


def _settings(files: Mapping[str, str]) -> Settings:
    return parse_settings(files.get("trivet.toml", ""))


def _plan(files: Mapping[str, str]) -> BuildPlan:
    tree, settings = Tree(files), _settings(files)
    return choose_builder(tree, settings).plan(tree, settings)


def _processes(files: Mapping[str, str]) -> dict[str, str]:
    tree = Tree(files)
    return {process.name: process.command for process in process_types(tree, _plan(files), _settings(files))}


def _error(files: Mapping[str, str], kind: type[TrivetError] = BuildError) -> tuple[str, str]:
    with pytest.raises(kind) as caught:
        _processes(files)
    return caught.value.message, caught.value.hint


def _lock(*names: str, source: str = '{ registry = "https://pypi.org/simple" }') -> str:
    packages = "".join(f'[[package]]\nname = "{name}"\nversion = "1"\nsource = {source}\n' for name in names)
    return f'version = 1\n[[package]]\nname = "shop"\nversion = "0"\nsource = {{ virtual = "." }}\n{packages}'


@pytest.mark.parametrize(
    ("files", "builder"),
    [
        ({"requirements.txt": ""}, "python"),
        ({"uv.lock": "", "pyproject.toml": PYPROJECT}, "python"),
        ({"requirements.txt": "", "index.html": "", "Procfile": "web: x"}, "python"),
        ({"index.html": ""}, "static"),
        ({"public/a.txt": ""}, "static"),
        ({"index.html": "", "Procfile": "web: x"}, "static"),
        ({"Procfile": "web: x", "server.py": ""}, "procfile"),
        ({"Procfile": "web: x", "pyproject.toml": "[tool.ruff]\nline-length = 100\n"}, "procfile"),
        ({"requirements.txt": "", "Procfile": "web: x", "trivet.toml": "[build]\nbuilder = 'procfile'"}, "procfile"),
    ],
)
def test_the_first_builder_that_recognises_the_source_is_chosen(files: dict[str, str], builder: str) -> None:
    assert _plan(files).builder == builder


def test_a_source_that_nothing_recognises_is_an_error() -> None:
    message, hint = _error({"README.md": ""}, DetectionError)
    assert message == (
        "No builder recognises this source. Looked for:\n"
        "  - uv.lock, requirements.txt or pyproject.toml (Python)\n"
        "  - Gemfile (Ruby)\n"
        "  - composer.json, index.php or public/index.php (PHP)\n"
        "  - go.mod (Go)\n"
        "  - Cargo.toml (Rust)\n"
        "  - index.html or public/ (static files)\n"
        "  - Procfile (anything else, as it stands)"
    )
    assert hint == ("Add one of them, for example a Procfile with the line `web: ./YOUR-SERVER --port $PORT`.")


def test_python_files_alone_get_advice_for_python() -> None:
    _, hint = _error({"app.py": ""}, DetectionError)
    assert hint == (
        "It looks like Python: list its packages in requirements.txt (an empty one will do) "
        "or `uv init` and `uv add` them."
    )


def test_a_builder_that_does_not_exist_is_an_error_with_its_line() -> None:
    assert _error({"trivet.toml": "app = 'x'\n[build]\nbuilder = 'pyhton'\n"}, InvalidFile) == (
        "trivet.toml:3: there is no builder 'pyhton'.",
        "Did you mean 'python'?",
    )


def test_two_lockfiles_are_an_error() -> None:
    assert _error({"uv.lock": "", "requirements.txt": "", "pyproject.toml": PYPROJECT}, LockfileError) == (
        "There are two lockfiles, uv.lock and requirements.txt, so it is not clear what to install.",
        "Remove one from the commit: `git rm requirements.txt` to install from uv.lock.",
    )


def test_a_project_without_a_lockfile_is_an_error() -> None:
    assert _error({"pyproject.toml": PYPROJECT}, LockfileError) == (
        "There is pyproject.toml, but no uv.lock that says which versions to install.",
        "Run `uv lock` and commit uv.lock.",
    )


@pytest.mark.parametrize("manifest", ["Pipfile", "Pipfile.lock", "poetry.lock", "pdm.lock", "setup.py"])
def test_another_tools_manifest_alone_is_an_error(manifest: str) -> None:
    assert _error({manifest: ""}, LockfileError) == (
        f"There is {manifest}, but no uv.lock or requirements.txt that says which versions to install.",
        "Write the installed versions with `uv pip freeze > requirements.txt` (or `pip freeze`), and commit it.",
    )


def test_a_broken_manifest_is_an_error() -> None:
    message, hint = _error({"uv.lock": "[", "pyproject.toml": PYPROJECT}, InvalidFile)
    assert message.startswith("uv.lock cannot be read: ")
    assert hint == "Mend it and commit it. `uv lock` writes uv.lock anew."


def test_dependencies_are_decided_by_the_lockfile_and_its_manifest() -> None:
    files = {"uv.lock": _lock("flask"), "pyproject.toml": PYPROJECT, "Procfile": "web: x", "app.py": ""}
    dependencies, app = _plan(files).layers
    assert (dependencies.name, dependencies.inputs) == ("dependencies", ("uv.lock", "pyproject.toml"))
    assert (app.name, app.inputs, app.with_source) == ("app", None, True)


def test_dependencies_are_decided_by_every_file_that_requirements_include() -> None:
    files = {
        "requirements.txt": "-r requirements/base.txt\n--constraint=limits.txt\nflask==3.0.3\n",
        "requirements/base.txt": "-r more.txt\n",
        "requirements/more.txt": "gunicorn==23.0.0 --hash=sha256:1\n",
        "limits.txt": "",
        "Procfile": "web: x",
    }
    assert set(_plan(files).layers[0].inputs or ()) == set(files) - {"Procfile"}


@pytest.mark.parametrize(
    "files",
    [
        {"uv.lock": _lock("x"), "pyproject.toml": PYPROJECT + '[build-system]\nrequires = ["hatchling"]\n'},
        {"uv.lock": _lock("x", source='{ editable = "packages/x" }'), "pyproject.toml": PYPROJECT},
        {"requirements.txt": "./packages/x\n"},
        {"requirements.txt": "-e .\n"},
    ],
)
def test_dependencies_that_lie_in_the_source_are_always_made(files: dict[str, str]) -> None:
    assert _plan({**files, "Procfile": "web: x"}).layers[0].inputs is None


@pytest.mark.parametrize(("build_system", "installed"), [("", False), ("[build-system]\nrequires = []\n", True)])
def test_the_project_itself_is_installed_if_it_is_a_package(build_system: str, installed: bool) -> None:
    files = {"uv.lock": _lock(), "pyproject.toml": PYPROJECT + build_system, "Procfile": "web: x"}
    sync = next(step for step in _plan(files).layers[0].steps if "sync" in step.argv)
    assert ("--no-install-project" not in sync.argv) is installed


def test_requirements_without_a_fixed_version_are_told_once() -> None:
    text = (
        "# web\nflask\ngunicorn>=20 # any\nrequests == 2.0.* ; python_version > '3'\n"
        "x @ git+https://example.org/x.git@main\n"
        "a==1\nb===2\nc[extra]==3 \\\n    --hash=sha256:1\nd==1.0; sys_platform == 'linux'\n"
        "y @ https://example.org/y-1.whl\nz @ git+https://example.org/z@0123456789012345678901234567890123456789\n"
    )
    (notice,) = _plan({"requirements.txt": text, "Procfile": "web: x"}).notices
    assert notice == (
        "requirements.txt names no fixed version of flask, gunicorn, requests, x: the same commit may be built "
        "differently later. `uv pip compile requirements.in -o requirements.txt` fixes them."
    )


def test_commands_of_the_app_are_taken_as_they_are_written() -> None:
    toml = "[build]\ncommands = ['echo {bundle} ${HOME} {']\n[build.environment]\nA = '{b}'\n"
    for files in ({"Procfile": "web: x"}, {"requirements.txt": "", "Procfile": "web: x"}, {"index.html": ""}):
        plan = _plan({**files, "trivet.toml": toml})
        step = next(step for step in plan.layers[-1].steps if step.argv[0] == "/bin/sh")
        assert step.argv[2].format_map({}) == "echo {bundle} ${HOME} {"
        assert step.environment["A"].format_map({}) == "{b}"


DJANGO = {"manage.py": "", "mysite/__init__.py": "", "mysite/wsgi.py": "", "mysite/asgi.py": ""}


@pytest.mark.parametrize(
    ("files", "web"),
    [
        (
            {"requirements.txt": "Django==5\ngunicorn==23", **DJANGO},
            "gunicorn mysite.wsgi:application --bind 127.0.0.1:$PORT",
        ),
        (
            {"requirements.txt": "Django==5\nuvicorn[standard]==1", **DJANGO},
            "uvicorn mysite.asgi:application --host 127.0.0.1 --port $PORT",
        ),
        ({"requirements.txt": "flask==3\ngunicorn==23", "app.py": FLASK}, "gunicorn app:app --bind 127.0.0.1:$PORT"),
        ({"requirements.txt": "flask==3\nGunicorn==23", "wsgi.py": FLASK}, "gunicorn wsgi:app --bind 127.0.0.1:$PORT"),
        (
            {"uv.lock": _lock("fastapi", "uvicorn"), "pyproject.toml": PYPROJECT, "main.py": FASTAPI},
            "uvicorn main:api --host 127.0.0.1 --port $PORT",
        ),
        (
            {"index.html": ""},
            (
                "gunicorn --bind 127.0.0.1:$PORT --worker-class gthread --threads 16 --access-logfile - "
                "'static_server:application()'"
            ),
        ),
    ],
)
def test_an_obvious_app_needs_no_procfile(files: dict[str, str], web: str) -> None:
    assert _processes(files) == {"web": web}


def test_the_procfile_goes_before_every_default() -> None:
    files = {"requirements.txt": "flask==3\ngunicorn==23", "app.py": FLASK, "Procfile": "web: mine\nworker: w"}
    assert _processes(files) == {"web": "mine", "worker": "w"}


_SERVE_IT = "Or commit a file called Procfile with a command that serves on 127.0.0.1:$PORT."


@pytest.mark.parametrize(
    ("files", "reason", "hint"),
    [
        (
            {"requirements.txt": "flask==3", "app.py": FLASK},
            "app.py has a Flask app, but gunicorn is not among the dependencies",
            (
                "Add gunicorn with a line in requirements.txt; "
                f"then `gunicorn app:app --bind 127.0.0.1:$PORT` is run. {_SERVE_IT}"
            ),
        ),
        (
            {"uv.lock": _lock("fastapi"), "pyproject.toml": PYPROJECT, "main.py": FASTAPI},
            "main.py has a FastAPI app, but uvicorn is not among the dependencies",
            f"Add uvicorn with `uv add uvicorn`; then `uvicorn main:api --host 127.0.0.1 --port $PORT` is run. {_SERVE_IT}",
        ),
        (
            {"requirements.txt": "Django==5", **DJANGO},
            "mysite/wsgi.py has a Django app, but gunicorn is not among the dependencies",
            (
                "Add gunicorn with a line in requirements.txt; "
                f"then `gunicorn mysite.wsgi:application --bind 127.0.0.1:$PORT` is run. {_SERVE_IT}"
            ),
        ),
        (
            {"requirements.txt": "fastapi==0.1\nuvicorn==1", "fa_app.py": FASTAPI, "old-one.py": FASTAPI},
            "the FastAPI app is in fa_app.py, and only app.py, wsgi.py, asgi.py, main.py and application.py are looked at",
            "Commit a file called Procfile with the line `web: uvicorn fa_app:api --host 127.0.0.1 --port $PORT`.",
        ),
        (
            {"requirements.txt": "flask==3", "shop/site.py": FLASK},
            "the Flask app is in shop/site.py, and only app.py, wsgi.py, asgi.py, main.py and application.py are looked at",
            (
                "Add gunicorn to the dependencies. Commit a file called Procfile with the line "
                "`web: gunicorn shop.site:app --bind 127.0.0.1:$PORT`."
            ),
        ),
        (
            {"requirements.txt": "Flask==3\ngunicorn==23", "app.py": "def create_app(): ..."},
            "Flask is among the dependencies, but no file has a line like `app = Flask(`",
            (
                "Commit a file called Procfile with a line like `web: gunicorn YOUR_MODULE:app --bind 127.0.0.1:$PORT`, "
                "with your names for YOUR_MODULE and app."
            ),
        ),
        (
            {"requirements.txt": "Django==5\ngunicorn==23", "src/manage.py": ""},
            (
                "Django is among the dependencies, "
                "but there is no manage.py at the top with a wsgi.py or asgi.py in a folder beside it"
            ),
            (
                "Commit a file called Procfile with a line like "
                "`web: gunicorn YOUR_PROJECT.wsgi:application --bind 127.0.0.1:$PORT`, with your names for YOUR_PROJECT."
            ),
        ),
        (
            {"requirements.txt": "bottle==0.13\ngunicorn==23", "main.py": "x"},
            "neither Django, Flask, FastAPI nor Starlette is among the dependencies",
            (
                "Commit a file called Procfile with a command that serves on 127.0.0.1:$PORT, "
                "for example `web: gunicorn YOUR_MODULE:app --bind 127.0.0.1:$PORT`."
            ),
        ),
        (
            {"requirements.txt": "", "server.py": ""},
            "neither Django, Flask, FastAPI nor Starlette is among the dependencies",
            (
                "Commit a file called Procfile with a command that serves on 127.0.0.1:$PORT, "
                "for example `web: python server.py`."
            ),
        ),
        (
            {"requirements.txt": ""},
            "neither Django, Flask, FastAPI nor Starlette is among the dependencies",
            (
                "Commit a file called Procfile with a command that serves on 127.0.0.1:$PORT, "
                "for example `web: python YOUR_FILE.py`."
            ),
        ),
        (
            {"a": "", "trivet.toml": "[build]\nbuilder = 'procfile'\n"},
            "the builder 'procfile' knows none",
            _NAME_COMMANDS,
        ),
    ],
)
def test_an_app_with_no_obvious_way_to_start_it_is_told_what_was_looked_for(
    files: dict[str, str], reason: str, hint: str
) -> None:
    assert _error(files, DetectionError) == (
        f"There is no Procfile, and no obvious way to start this app: {reason}.",
        hint,
    )


@pytest.mark.parametrize("more", [{}, {"requirements.txt": "flask==3", "app.py": FLASK}, {"index.html": ""}])
def test_an_empty_procfile_is_an_error(more: dict[str, str]) -> None:
    assert _error({**more, "Procfile": "# later\n"}, DetectionError) == (
        "The Procfile names no process type.",
        _NAME_COMMANDS,
    )


def test_what_the_builder_chose_is_told_and_what_the_procfile_says_is_not() -> None:
    files = {"requirements.txt": "flask==3\ngunicorn==23", "app.py": FLASK}
    processes = process_types(Tree(files), _plan(files), _settings(files))
    assert tell_defaults(Tree(files), processes) == (
        "web: gunicorn app:app --bind 127.0.0.1:$PORT (no Procfile: the builder's choice)",
    )
    assert tell_defaults(Tree({**files, "Procfile": "web: x"}), processes) == ()


def test_settings_reach_their_process_types() -> None:
    toml = "[processes.web]\nhealth = '/up'\ntimeout = 5\n[processes.worker]\nsettle = 0.2\ngrace = 3\n"
    files = {"Procfile": "web: a\nworker: b\nother: c", "trivet.toml": toml}
    web, worker, other = process_types(Tree(files), _plan(files), _settings(files))
    assert (web.health, web.timeout_s, web.settle_s, web.grace_s) == ("/up", 5.0, 1.0, 30.0)
    assert (worker.health, worker.timeout_s, worker.settle_s, worker.grace_s) == (None, 60.0, 0.2, 3.0)
    assert (other.timeout_s, other.grace_s) == (60.0, 30.0)


def test_settings_of_a_process_type_that_is_not_there_are_an_error() -> None:
    files = {"Procfile": "web: a\nworker: b", "trivet.toml": "[processes.web]\n[processes.wroker]\ngrace = 1\n"}
    assert _error(files, InvalidFile) == (
        "trivet.toml:2: the app has no process type 'wroker'.",
        "Did you mean 'worker'?",
    )


def test_a_page_at_the_top_beside_a_public_folder_without_one_is_told() -> None:
    (notice,) = _plan({"index.html": "", "public/logo.png": ""}).notices
    assert notice == (
        "The index.html at the top is not served: there is a folder public/, and only what is in there is. "
        "Move the page into public/, or give the folder another name."
    )
    for files in ({"index.html": ""}, {"index.html": "", "public/index.html": ""}, {"public/logo.png": ""}):
        assert _plan(files).notices == ()
