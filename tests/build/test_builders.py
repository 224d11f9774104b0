"""Builders: what they recognise, what they plan, and what they say when they cannot. No process, no file."""

import pytest

from support.planning import Tree, error_of, plan_of, processes_of, settings_of
from trivet.build.processes import process_types, tell_defaults
from trivet.build.schedule import schedule_of
from trivet.errors import DetectionError, InvalidFile, LockfileError
from trivet.model.build_plan import BuildPlan, LayerPlan, Phase
from trivet.model.process import Limits
from trivet.model.schedule import Overlap, Scheduled

PYPROJECT = '[project]\nname = "shop"\nversion = "0"\ndependencies = []\n'
FLASK = "from flask import Flask\n\napp = Flask(__name__)\n"
FASTAPI = "import fastapi\n\napi: fastapi.FastAPI = fastapi.FastAPI()\n"
_NAME_COMMANDS = (
    "Commit a file called Procfile with a command for each process type, for example `web: ./YOUR-SERVER --port $PORT`."
)


def _layer(plan: BuildPlan, name: str) -> LayerPlan:
    return next(layer for layer in plan.layers if layer.name == name)


INDEX = '{ registry = "https://pypi.org/simple" }'


def _lock(*names: str, source: str = INDEX, app: str = "virtual", more: str = "") -> str:
    """A uv.lock whose app needs packages of these names, each with what `more` says of it."""
    packages = "".join(f'[[package]]\nname = "{name}"\nversion = "1"\nsource = {source}\n{more}' for name in names)
    needs = ", ".join(f'{{ name = "{name}" }}' for name in names)
    head = f'version = 1\n[[package]]\nname = "shop"\nversion = "0"\nsource = {{ {app} = "." }}\n'
    return f"{head}dependencies = [{needs}]\n{packages}"


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
    assert plan_of(files).builder == builder


def test_a_source_that_nothing_recognises_is_an_error() -> None:
    message, hint = error_of({"README.md": ""}, DetectionError)
    assert message == (
        "No builder recognises this source. Looked for:\n"
        "  - uv.lock, poetry.lock, Pipfile.lock, requirements.txt or pyproject.toml (Python)\n"
        "  - Gemfile (Ruby)\n"
        "  - composer.json, index.php or public/index.php (PHP)\n"
        "  - go.mod (Go)\n"
        "  - Cargo.toml (Rust)\n"
        "  - package.json (Node)\n"
        "  - index.html, public/ or a package.json with only a build script (static files)\n"
        "  - Procfile (anything else, as it stands)\n"
        "  - Dockerfile (an image; nothing else recognised)"
    )
    assert hint == ("Add one of them, for example a Procfile with the line `web: ./YOUR-SERVER --port $PORT`.")


def test_python_files_alone_get_advice_for_python() -> None:
    _, hint = error_of({"app.py": ""}, DetectionError)
    assert hint == (
        "It looks like Python: list its packages in requirements.txt (an empty one will do) "
        "or `uv init` and `uv add` them."
    )


def test_a_builder_that_does_not_exist_is_an_error_with_its_line() -> None:
    assert error_of({"trivet.toml": "app = 'x'\n[build]\nbuilder = 'pyhton'\n"}, InvalidFile) == (
        "trivet.toml:3: there is no builder 'pyhton'.",
        "Did you mean 'python'?",
    )


@pytest.mark.parametrize("name", ["Aptfile", "apt.txt", "packages.txt"])
def test_packages_of_the_system_are_refused_with_what_to_do_instead(name: str) -> None:
    files = {name: "# for images\nlibvips42\nffmpeg\n", "requirements.txt": "streamlit==1", "Procfile": "web: x"}
    assert error_of(files, DetectionError) == (
        (
            f"{name} asks for packages of the system: libvips42, ffmpeg. "
            "A build installs none, since it must run without root."
        ),
        (
            "Take them from the app's own dependencies where those have them (psycopg[binary] brings libpq, pillow its "
            "libraries), or install them on the machine once (`apt-get install`). "
            f"Then remove {name} from the commit, "
            f"or keep it out of builds with the line `{name} export-ignore` in .gitattributes."
        ),
    )


def test_a_file_packages_txt_means_nothing_without_streamlit() -> None:
    assert plan_of({"packages.txt": "x", "requirements.txt": "", "Procfile": "web: x"}).builder == "python"


def test_two_lockfiles_are_an_error() -> None:
    assert error_of({"uv.lock": "", "requirements.txt": "", "pyproject.toml": PYPROJECT}, LockfileError) == (
        "There are two lockfiles, uv.lock and requirements.txt, so it is not clear what to install.",
        "Remove one from the commit: `git rm requirements.txt` to install from uv.lock.",
    )


def test_a_project_without_a_lockfile_is_an_error() -> None:
    assert error_of({"pyproject.toml": PYPROJECT}, LockfileError) == (
        "There is pyproject.toml, but no uv.lock that says which versions to install.",
        "Run `uv lock` and commit uv.lock.",
    )


@pytest.mark.parametrize(
    ("files", "message", "hint"),
    [
        (
            {"Pipfile": ""},
            "There is Pipfile, but no Pipfile.lock that says which versions to install.",
            "Run `pipenv lock` and commit Pipfile.lock.",
        ),
        (
            {"pyproject.toml": '[tool.poetry]\nname = "shop"\n'},
            "There is pyproject.toml, but no poetry.lock that says which versions to install.",
            "Run `poetry lock` and commit poetry.lock.",
        ),
        (
            {"pdm.lock": "", "pyproject.toml": PYPROJECT},
            "There is pdm.lock, which is not read.",
            (
                "Write a requirements.txt with `pdm export --production -o requirements.txt`, "
                "or a uv.lock with `uv lock`; commit it."
            ),
        ),
        (
            {"setup.py": ""},
            "There is setup.py, but no uv.lock or requirements.txt that says which versions to install.",
            "Write the installed versions with `uv pip freeze > requirements.txt` (or `pip freeze`), and commit it.",
        ),
        (
            {"Pipfile.lock": "{}"},
            "There is Pipfile.lock, but no Pipfile that it is made from.",
            "Commit the Pipfile too.",
        ),
        (
            {"Pipfile.lock": "{}", "Pipfile": ""},
            "Pipfile.lock does not match its manifest.",
            "Run `pipenv lock` and commit Pipfile.lock.",
        ),
        (
            {"poetry.lock": '[metadata]\nlock-version = "2.0"\n'},
            "poetry.lock is of a Poetry before 2.0, and does not say what is for which group.",
            "Run `poetry lock` and commit poetry.lock.",
        ),
        (
            {"poetry.lock": '[metadata]\nlock-version = "2.1"\ncontent-hash = "0"\n', "pyproject.toml": PYPROJECT},
            "poetry.lock does not match its manifest.",
            "Run `poetry lock` and commit poetry.lock.",
        ),
    ],
)
def test_a_manifest_without_a_lockfile_that_fits_is_an_error(files: dict[str, str], message: str, hint: str) -> None:
    assert error_of(files, LockfileError) == (message, hint)


def test_a_broken_manifest_is_an_error() -> None:
    message, hint = error_of({"uv.lock": "[", "pyproject.toml": PYPROJECT}, InvalidFile)
    assert message.startswith("uv.lock cannot be read: ")
    assert hint == "Mend it and commit it. `uv lock` writes uv.lock anew."


def test_dependencies_are_decided_by_the_lockfile_and_its_manifest() -> None:
    files = {"uv.lock": _lock("flask"), "pyproject.toml": PYPROJECT, "Procfile": "web: x", "app.py": ""}
    runtime, dependencies, app = plan_of(files).layers
    assert (runtime.name, runtime.inputs, runtime.vendors) == ("runtime", (), "python")
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
    assert set(_layer(plan_of(files), "dependencies").inputs or ()) == set(files) - {"Procfile"}


BUILT = '[build-system]\nrequires = ["hatchling==1.27.0"]\nbuild-backend = "hatchling.build"\n'
LIBRARY = f'[project]\nname = "My_Lib"\nversion = "0"\n{BUILT}'


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({"uv.lock": _lock(app="editable"), "pyproject.toml": PYPROJECT + BUILT}, ["shop"]),
        (
            {
                "uv.lock": _lock("my-lib", source='{ editable = "packages/x" }'),
                "pyproject.toml": PYPROJECT,
                "packages/x/pyproject.toml": LIBRARY,
            },
            ["my-lib"],
        ),
        ({"requirements.txt": "./packages/x\n", "packages/x/pyproject.toml": LIBRARY}, ["my-lib"]),
        ({"requirements.txt": "-e .[web]\nflask==3\n", "pyproject.toml": LIBRARY}, ["my-lib"]),
    ],
)
def test_packages_of_the_source_are_a_layer_that_is_always_made(files: dict[str, str], names: list[str]) -> None:
    plan = plan_of({**files, "Procfile": "web: x"})
    _, dependencies, packages, _ = plan.layers
    assert dependencies.inputs is not None
    assert (packages.name, packages.inputs) == ("packages", None)
    assert [step.title for step in packages.steps] == [
        *(title for name in names for title in (f"fetching what builds {name}", f"building {name}")),
        f"installing {', '.join(names)}",
        "compiling packages",
    ]
    assert "hatchling==1.27.0" in packages.steps[0].argv
    assert plan.environment["PYTHONPATH"] == "{bundle}/packages"


def test_a_project_that_is_no_package_has_no_such_layer() -> None:
    plan = plan_of({"uv.lock": _lock("flask"), "pyproject.toml": PYPROJECT, "Procfile": "web: x"})
    assert [layer.name for layer in plan.layers] == ["runtime", "dependencies", "app"]
    assert "PYTHONPATH" not in plan.environment


@pytest.mark.parametrize(
    "files",
    [
        {"uv.lock": _lock("flask", "docopt", more='sdist = { url = "https://x/d.tar.gz" }\n'), "trivet.toml": "@"},
        {"uv.lock": _lock("flask"), "pyproject.toml": PYPROJECT + BUILT},
        {"requirements.txt": "flask==3\ndocopt==0.6.2\n", "trivet.toml": "[build]\nsource_distributions = ['docopt']"},
        {"requirements.txt": "-e .\n", "pyproject.toml": LIBRARY},
    ],
)
def test_no_step_that_reaches_the_network_runs_code_of_a_package(files: dict[str, str]) -> None:
    files = {"pyproject.toml": PYPROJECT, **files, "Procfile": "web: x"}
    if files.get("trivet.toml") == "@":
        files["trivet.toml"] = "[build]\nsource_distributions = true\n"
    for layer in plan_of(files).layers:
        for step in layer.steps:
            text = " ".join(step.argv)
            if step.phase is Phase.FETCH:
                assert not any(verb in text for verb in ("uv} build", "build --wheel", "collectstatic"))
                assert "--no-build" in text or not any(verb in text for verb in (" sync ", " install ", " compile "))
            else:
                assert not step.uses_cache


ALONE = 'sdist = { url = "https://x/y.tar.gz", hash = "sha256:1" }\n'


def test_a_package_without_a_wheel_is_an_error_that_says_which_line_to_add() -> None:
    files = {"uv.lock": _lock("docopt", more=ALONE), "pyproject.toml": PYPROJECT, "Procfile": "web: x"}
    assert error_of(files, LockfileError) == (
        (
            "docopt 1 of uv.lock has no wheel, and is only built from source, which runs code of the package, "
            "if the app says so."
        ),
        'Add to trivet.toml, under [build]: source_distributions = ["docopt"]',
    )
    files = {**files, "uv.lock": _lock("docopt", "other", "more", more=ALONE)}
    assert error_of({**files, "trivet.toml": "[build]\nsource_distributions = ['other']"}, LockfileError) == (
        (
            "docopt 1, more 1 of uv.lock have no wheels, and are only built from source, which runs code of the package, "
            "if the app says so."
        ),
        'Add to trivet.toml, under [build]: source_distributions = ["other", "docopt", "more"]',
    )


@pytest.mark.parametrize("allowed", ["true", "['Doc_Opt']"])
def test_a_package_without_a_wheel_is_built_if_the_app_allows_it(allowed: str) -> None:
    files = {"uv.lock": _lock("doc-opt", more=ALONE), "pyproject.toml": PYPROJECT, "Procfile": "web: x"}
    plan = plan_of({**files, "trivet.toml": f"[build]\nsource_distributions = {allowed}\n"})
    assert [step.title for step in _layer(plan, "dependencies").steps][3:-1] == [
        "fetching the source of doc-opt",
        "fetching what builds doc-opt",
        "building doc-opt",
        "installing doc-opt",
        "compiling dependencies",
    ]
    assert plan.notices == ("Built from source, as trivet.toml allows: doc-opt.",)


def test_a_package_without_a_wheel_that_only_another_machine_needs_does_not_matter() -> None:
    lock = _lock("docopt", more=ALONE).replace('name = "docopt" }', 'name = "docopt", marker = "os_name == \'nt\'" }')
    lock += f'[[package]]\nname = "dev-only"\nversion = "1"\nsource = {INDEX}\n{ALONE}'
    plan = plan_of({"uv.lock": lock, "pyproject.toml": PYPROJECT, "Procfile": "web: x"})
    assert plan.notices == ()


def test_a_package_that_is_allowed_and_not_installed_is_an_error() -> None:
    files = {"uv.lock": _lock("docopt", more=ALONE), "pyproject.toml": PYPROJECT, "Procfile": "web: x"}
    assert error_of({**files, "trivet.toml": "[build]\nsource_distributions = ['dokopt']"}, InvalidFile) == (
        "trivet.toml:2: the app installs no package 'dokopt' that could be built from source.",
        "Did you mean 'docopt'?",
    )
    nothing = {"uv.lock": _lock(), "pyproject.toml": PYPROJECT, "Procfile": "web: x"}
    assert error_of({**nothing, "trivet.toml": "[build]\nsource_distributions = ['x']"}, InvalidFile) == (
        "trivet.toml:2: the app installs no package 'x' that could be built from source.",
        "Remove it from the list.",
    )


@pytest.mark.parametrize(
    ("lines", "required"),
    [("a==1 --hash=sha256:1\nb==2 --hash=sha256:2\n", True), ("a==1 --hash=sha256:1\nb==2\n", False), ("a\n", False)],
)
def test_hashes_are_required_if_every_line_has_them(lines: str, required: bool) -> None:
    steps = _layer(plan_of({"requirements.txt": lines, "Procfile": "web: x"}), "dependencies").steps
    install = next(step for step in steps if "install" in step.argv)
    assert ("--require-hashes" in install.argv) is required


@pytest.mark.parametrize("line", ["git+https://example.org/x.git", "./wheels/x-1-py3-none-any.whl", "-e git+ssh://x/y"])
def test_a_requirement_that_no_index_has_is_an_error(line: str) -> None:
    message, hint = error_of({"requirements.txt": f"{line}\n", "Procfile": "web: x"}, InvalidFile)
    assert message.startswith("requirements.txt asks for '")
    assert message.endswith("', which is neither a package of an index nor a folder of the source.")
    assert hint == "Name a package with its version, or put its code into a folder of the source."


def _django(root: str = "STATIC_ROOT = BASE_DIR / 'static'", toml: str = "") -> BuildPlan:
    files = {"requirements.txt": "Django==5\ngunicorn==23", **DJANGO, "mysite/settings.py": f"A = 1\n{root}\n"}
    return plan_of({**files, "trivet.toml": toml})


def test_djangos_static_files_are_collected_if_settings_say_where() -> None:
    plan = _django()
    assert [step.title for step in plan.layers[-1].steps] == ["collecting static files", "compiling app"]
    step = plan.layers[-1].steps[0]
    assert (step.argv, step.phase) == (("python", "manage.py", "collectstatic", "--noinput"), Phase.COMPILE)
    assert plan.notices == (
        (
            "Static files are collected with `python manage.py collectstatic --noinput`, since mysite/settings.py has a "
            "STATIC_ROOT; `collectstatic = false` under [build] in trivet.toml turns that off."
        ),
    )


@pytest.mark.parametrize(
    ("root", "toml"),
    [
        ("STATIC_ROOT = None", ""),
        ("# STATIC_ROOT = 'x'", ""),
        ("STATIC_ROOT = 'x'", "[build]\ncollectstatic = false\n"),
        ("STATIC_ROOT = 'x'", "[build]\ncommands = ['python manage.py collectstatic --noinput --clear']\n"),
    ],
)
def test_djangos_static_files_are_left_alone_otherwise(root: str, toml: str) -> None:
    plan = _django(root, toml)
    assert "collecting static files" not in [step.title for step in plan.layers[-1].steps]
    assert plan.notices == ()


def test_requirements_without_a_fixed_version_are_told_once() -> None:
    text = (
        "# web\nflask\ngunicorn>=20 # any\nrequests == 2.0.* ; python_version > '3'\n"
        "x @ git+https://example.org/x.git@main\n"
        "a==1\nb===2\nc[extra]==3 \\\n    --hash=sha256:1\nd==1.0; sys_platform == 'linux'\n"
        "y @ https://example.org/y-1.whl\nz @ git+https://example.org/z@0123456789012345678901234567890123456789\n"
    )
    (notice,) = plan_of({"requirements.txt": text, "Procfile": "web: x"}).notices
    assert notice == (
        "requirements.txt names no fixed version of flask, gunicorn, requests, x: the same commit may be built "
        "differently later. `uv pip compile requirements.in -o requirements.txt` fixes them."
    )


def test_commands_of_the_app_are_taken_as_they_are_written() -> None:
    toml = "[build]\ncommands = ['echo {bundle} ${HOME} {']\n[build.environment]\nA = '{b}'\n"
    for files in ({"Procfile": "web: x"}, {"requirements.txt": "", "Procfile": "web: x"}, {"index.html": ""}):
        plan = plan_of({**files, "trivet.toml": toml})
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
    assert processes_of(files) == {"web": web}


def test_the_procfile_goes_before_every_default() -> None:
    files = {"requirements.txt": "flask==3\ngunicorn==23", "app.py": FLASK, "Procfile": "web: mine\nworker: w"}
    assert processes_of(files) == {"web": "mine", "worker": "w"}


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
    assert error_of(files, DetectionError) == (
        f"There is no Procfile, and no obvious way to start this app: {reason}.",
        hint,
    )


@pytest.mark.parametrize("more", [{}, {"requirements.txt": "flask==3", "app.py": FLASK}, {"index.html": ""}])
def test_an_empty_procfile_is_an_error(more: dict[str, str]) -> None:
    assert error_of({**more, "Procfile": "# later\n"}, DetectionError) == (
        "The Procfile names no process type.",
        _NAME_COMMANDS,
    )


def test_what_the_builder_chose_is_told_and_what_the_procfile_says_is_not() -> None:
    files = {"requirements.txt": "flask==3\ngunicorn==23", "app.py": FLASK}
    processes = process_types(Tree(files), plan_of(files), settings_of(files))
    assert tell_defaults(Tree(files), processes) == (
        "web: gunicorn app:app --bind 127.0.0.1:$PORT (no Procfile: the builder's choice)",
    )
    assert tell_defaults(Tree({**files, "Procfile": "web: x"}), processes) == ()


def test_settings_reach_their_process_types() -> None:
    toml = "[processes.web]\nhealth = '/up'\ntimeout = 5\n[processes.worker]\nsettle = 0.2\ngrace = 3\n"
    files = {"Procfile": "web: a\nworker: b\nother: c", "trivet.toml": toml}
    web, worker, other = process_types(Tree(files), plan_of(files), settings_of(files))
    assert (web.health, web.timeout_s, web.settle_s, web.grace_s) == ("/up", 5.0, None, 30.0)
    assert (worker.health, worker.timeout_s, worker.settle_s, worker.grace_s) == (None, 60.0, 0.2, 3.0)
    assert (other.timeout_s, other.grace_s) == (60.0, 30.0)


def test_settings_of_a_process_type_that_is_not_there_are_an_error() -> None:
    files = {"Procfile": "web: a\nworker: b", "trivet.toml": "[processes.web]\n[processes.wroker]\ngrace = 1\n"}
    assert error_of(files, InvalidFile) == (
        "trivet.toml:2: the app has no process type 'wroker'.",
        "Did you mean 'worker'?",
    )


def test_a_page_at_the_top_beside_a_public_folder_without_one_is_told() -> None:
    (notice,) = plan_of({"index.html": "", "public/logo.png": ""}).notices
    assert notice == (
        "The index.html at the top is not served: there is a folder public/, and only what is in there is. "
        "Move the page into public/, or give the folder another name."
    )
    for files in ({"index.html": ""}, {"index.html": "", "public/index.html": ""}, {"public/logo.png": ""}):
        assert plan_of(files).notices == ()


def test_a_schedule_takes_command_grace_and_limits_from_a_process_type() -> None:
    toml = (
        "[processes.report]\ngrace = 3\nlimits = { files = 64 }\n"
        '[schedule]\ntime_zone = "Europe/Zurich"\n'
        '[schedule.weekly]\ncron = "@weekly"\nprocess = "report"\n'
        '[schedule.nightly]\ncron = "30 3 * * *"\ncommand = "x"\ntimeout = 60\noverlap = "allow"\n'
    )
    files = {"Procfile": "web: a\nreport: ./report", "trivet.toml": toml}
    processes = process_types(Tree(files), plan_of(files), settings_of(files))
    assert schedule_of(Tree(files), processes, settings_of(files)) == (
        Scheduled("weekly", "@weekly", "./report", "Europe/Zurich", grace_s=3.0, limits=Limits(files=64)),
        Scheduled("nightly", "30 3 * * *", "x", "Europe/Zurich", Overlap.ALLOW, timeout_s=60.0),
    )
