"""Python apps by each of the lockfiles, with what has to be built from source; real packages from PyPI. Needs the network."""

import functools
import hashlib
import http.server
import json
import os
import platform
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uv

from support.building import Builder
from support.command import fetch
from support.repository import Repository
from trivet.build import verify_layer
from trivet.build.lockfiles import pipfile_lock, poetry_lock
from trivet.errors import BuildError, InvalidFile, LockfileError, StepFailed
from trivet.model.build import Build
from trivet.model.build_plan import Phase
from trivet.model.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.fetches]

LOCKS = Path(__file__).parent / "locks"
PYPROJECT = '[project]\nname = "shop"\nversion = "0"\nrequires-python = ">=3.10"\ndependencies = [{}]\n'
BACKEND = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
WSGI = """
import {module}

def app(environ, start):
    start("200 OK", [("Content-Type", "text/plain")])
    return [{module}.__file__.encode()]
"""
SERVER = """
import os
from wsgiref.simple_server import make_server
from shop import app

def serve():
    make_server("127.0.0.1", int(os.environ["PORT"]), app).serve_forever()
"""


def _lock(repository: Repository, folder: str = "") -> None:
    argv = (
        uv.find_uv_bin(),
        "lock",
        "--quiet",
        "--python",
        "/usr/bin/python3",
        "--directory",
        str(repository.path / folder),
    )
    assert os.spawnve(os.P_WAIT, argv[0], argv, dict(os.environ)) == 0


def _steps(builder: Builder, phase: Phase) -> list[str]:
    return [title for title, of in zip(builder.told.steps, builder.told.phases, strict=True) if of is phase]


def _answer(builder: Builder, build: Build) -> str:
    with builder.serve(build) as url:
        return fetch(url)[1]


@pytest.fixture
def umask() -> Iterator[None]:
    """The umask of before comes back."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_a_package_and_a_source_distribution_are_built_without_the_network(builder: Builder) -> None:
    builder.repository.write(
        {
            "pyproject.toml": PYPROJECT.format('"docopt==0.6.2"')
            + BACKEND
            + '[project.scripts]\nserve = "shop.run:serve"\n',
            "src/shop/__init__.py": WSGI.format(module="docopt"),
            "src/shop/run.py": SERVER,
            "trivet.toml": "[build]\nsource_distributions = ['docopt']\n",
            "Procfile": "web: serve",
        }
    )
    _lock(builder.repository)
    build = builder.commit({}).build
    assert _steps(builder, Phase.FETCH) == [
        "checking uv.lock against pyproject.toml",
        "making a virtual environment",
        "fetching 0 packages from uv.lock",
        "fetching the source of docopt",
        "fetching what builds docopt",
        "fetching what builds shop",
    ]
    assert _steps(builder, Phase.COMPILE) == [
        "building docopt",
        "installing docopt",
        "compiling dependencies",
        "building shop",
        "installing shop",
        "compiling packages",
        "compiling app",
    ]
    assert _answer(builder, build).endswith("/site-packages/docopt.py")
    changed = builder.commit({"src/shop/more.py": "x = 1\n"}).build
    assert changed.layers[0] == build.layers[0]
    assert "dependencies: unchanged" in builder.told.steps
    assert (builder.bundle(changed) / "packages" / "shop" / "more.py").exists()
    for layer in changed.layers:
        verify_layer(builder.home, layer)


def test_a_c_extension_is_the_same_bytes_in_another_home_on_another_umask(
    builder: Builder, tmp_path: Path, umask: None
) -> None:
    builder.repository.write(
        {
            "pyproject.toml": PYPROJECT.format('"markupsafe==3.0.2"') + BACKEND,
            "src/shop/__init__.py": WSGI.format(module="markupsafe._speedups"),
            "trivet.toml": "[build]\nsource_distributions = ['MarkupSafe']\n",
            "Procfile": "web: x",
        }
    )
    _lock(builder.repository)
    one = builder.commit({}).build
    os.umask(0o077)
    other = Builder(Home(tmp_path / "a" / "much" / "longer" / "home"), builder.repository)
    two = other.build().build
    assert list((builder.bundle(one) / "dependencies").glob("lib/*/site-packages/markupsafe/_speedups*.so"))
    assert (one.id, one.layers) == (two.id, two.layers)
    for layer in one.layers:
        for path in (builder.home.layers / layer.digest).rglob("*"):
            if path.is_file():
                assert str(tmp_path).encode() not in path.read_bytes(), path


def test_a_package_that_only_its_source_is_there_of_is_refused_in_requirements(builder: Builder) -> None:
    with pytest.raises(StepFailed) as caught:
        builder.commit({"requirements.txt": "docopt==0.6.2\n", "Procfile": "web: x"})
    assert caught.value.message == "Fetching 1 package from requirements.txt ended with exit status 1."
    assert caught.value.hint == (
        "uv's words say which line of requirements.txt it is about. If a package has no wheel for this machine, "
        'add to trivet.toml, under [build]: source_distributions = ["NAME"] '
        "`trivet builds log failed` shows all the output."
    )
    assert any("docopt" in line for line in caught.value.detail)


DOCOPT = "docopt==0.6.2 --hash=sha256:49b3a825280bd66b3aa83585ef59c4a8c82f2c8a522dbe754a8bc8d08c85c491\n"
ALLOWED = "[build]\nsource_distributions = ['docopt']\n"


def test_a_source_distribution_of_requirements_is_found_on_the_index(builder: Builder) -> None:
    files = {"requirements.txt": f"iniconfig==2.1.0\n{DOCOPT}", "trivet.toml": ALLOWED, "Procfile": "web: x"}
    build = builder.commit(files).build
    assert "checking that the packages fit together" in builder.told.steps
    with builder.start(build, "python -c 'import docopt, iniconfig'", {}) as process:
        assert process.wait(60) == 0


def test_a_source_distribution_that_is_not_what_the_hash_says_is_refused(builder: Builder) -> None:
    files = {"requirements.txt": DOCOPT.replace(":4", ":5"), "trivet.toml": ALLOWED, "Procfile": "web: x"}
    with pytest.raises(StepFailed) as caught:
        builder.commit(files)
    assert caught.value.message == "Fetching the source of docopt ended with exit status 1."
    assert "and the lockfile says sha256:59b3a825" in caught.value.detail[-1]


def test_a_source_distribution_without_what_it_needs_is_an_error(builder: Builder) -> None:
    files = {
        "requirements.txt": "flask-docopt-none==0\n",
        "trivet.toml": ALLOWED.replace("docopt", "flask-docopt-none"),
        "Procfile": "web: x",
    }
    with pytest.raises(StepFailed) as caught:
        builder.commit(files)
    assert caught.value.message == "Fetching the source of flask-docopt-none ended with exit status 1."


def test_hashes_constraints_and_included_files_are_heeded(builder: Builder) -> None:
    good = "iniconfig==2.1.0 --hash=sha256:9deba5723312380e77435581c6bf4935c94cbfab9b1ed33ef8d238ea168eb760\n"
    files = {
        "requirements.txt": "-r more/base.txt\n-c limits.txt\n",
        "more/base.txt": good,
        "limits.txt": "iniconfig<3\n",
    }
    build = builder.commit({**files, "Procfile": "web: x"}).build
    assert list((builder.bundle(build) / "dependencies").glob("lib/*/site-packages/iniconfig"))
    with pytest.raises(StepFailed) as caught:
        builder.commit({"more/base.txt": good.replace(":9", ":8")})
    assert any("Hash mismatch" in line or "hash" in line.lower() for line in caught.value.detail)
    with pytest.raises(StepFailed):
        builder.commit({"more/base.txt": good, "limits.txt": "iniconfig<2\n"})


def test_requirements_may_name_packages_of_the_source(builder: Builder) -> None:
    files = {
        "requirements.txt": "-e ./libs/shared\n",
        "libs/shared/pyproject.toml": PYPROJECT.format('"iniconfig==2.1.0"').replace("shop", "shared") + BACKEND,
        "libs/shared/shared/__init__.py": "import iniconfig\n",
        "Procfile": "web: x",
    }
    build = builder.commit(files).build
    with builder.start(build, "python -c 'import shared, iniconfig; print(shared.__file__)'", {}) as process:
        assert process.wait(60) == 0
    assert (builder.bundle(build) / "packages" / "shared" / "__init__.py").is_file()


@pytest.mark.parametrize("tool", ["poetry", "pipenv"])
def test_another_tools_lockfile_is_installed_by_its_hashes(builder: Builder, tool: str) -> None:
    shutil.copytree(LOCKS / tool, builder.repository.path, dirs_exist_ok=True)
    build = builder.commit(
        {"app.py": "from flask import Flask\n\napp = Flask(__name__)\n\n@app.get('/')\ndef home():\n    return 'ok'\n"}
    ).build
    assert _answer(builder, build) == "ok"
    names = {path.name for path in (builder.bundle(build) / "dependencies").glob("lib/*/site-packages/*")}
    assert "flask" in names
    assert "iniconfig" not in names  # for development
    assert "colorama" not in names  # for another system


@pytest.mark.parametrize(
    ("tool", "file", "old", "new", "name"),
    [
        ("poetry", "pyproject.toml", "3.0.3", "3.0.2", "poetry.lock"),
        ("pipenv", "Pipfile", "3.0.3", "3.0.2", "Pipfile.lock"),
    ],
)
def test_another_tools_lockfile_that_does_not_match_is_an_error(
    builder: Builder, tool: str, file: str, old: str, new: str, name: str
) -> None:
    shutil.copytree(LOCKS / tool, builder.repository.path, dirs_exist_ok=True)
    manifest = builder.repository.path / file
    manifest.write_text(manifest.read_text().replace(old, new))
    with pytest.raises(LockfileError) as caught:
        builder.commit({"Procfile": "web: x"})
    assert caught.value.message == f"{name} does not match its manifest."
    assert caught.value.hint == f"Run `{tool} lock` and commit {name}."


def test_what_a_lockfile_says_of_its_manifest_is_what_its_tool_computes() -> None:
    import json
    import tomllib

    poetry = tomllib.loads((LOCKS / "poetry/poetry.lock").read_text())["metadata"]["content-hash"]
    assert poetry_lock.content_hash(tomllib.loads((LOCKS / "poetry/pyproject.toml").read_text())) == poetry
    pipenv = json.loads((LOCKS / "pipenv/Pipfile.lock").read_text())["_meta"]["hash"]["sha256"]
    assert pipfile_lock.content_hash(tomllib.loads((LOCKS / "pipenv/Pipfile").read_text())) == pipenv


DJANGO = {
    "requirements.txt": "django==5.2.7\ngunicorn==23.0.0\n",
    "manage.py": "import os, sys\nfrom django.core.management import execute_from_command_line\n\n"
    "os.environ['DJANGO_SETTINGS_MODULE'] = 'site_.settings'\nexecute_from_command_line(sys.argv)\n",
    "site_/__init__.py": "",
    "site_/settings.py": "import os\n\nSECRET_KEY = os.environ['SECRET_KEY']\nSTATIC_URL = 'static/'\nSTATIC_ROOT = 'collected'\n"
    "INSTALLED_APPS = ['django.contrib.staticfiles', 'front']\n",
    "front/__init__.py": "",
    "front/static/front.css": "body {}",
    "Procfile": "web: x",
}


def test_djangos_static_files_are_collected_without_config(builder: Builder) -> None:
    with pytest.raises(BuildError) as caught:
        builder.commit(dict(DJANGO))
    assert caught.value.message == "Collecting static files ended with exit status 1."
    assert caught.value.hint == (
        "A build sees no config: if the settings ask for a variable, such as SECRET_KEY, declare one that is only for the build "
        "in trivet.toml, under [build.environment]. `collectstatic = false` under [build] leaves static files alone. "
        "`trivet builds log failed` shows all the output."
    )
    assert "KeyError: 'SECRET_KEY'" in caught.value.detail
    build = builder.commit({"trivet.toml": "[build.environment]\nSECRET_KEY = 'only for the build'\n"}).build
    assert builder.read(build, "collected/front.css") == "body {}"
    assert builder.told.steps.count("collecting static files") == 1
    off = builder.commit({"trivet.toml": "[build]\ncollectstatic = false\n"}).build
    assert not (builder.bundle(off) / "app" / "collected").exists()


WORKSPACE = {
    "pyproject.toml": '[tool.uv.workspace]\nmembers = ["services/*", "libs/*"]\n',
    "libs/shared/pyproject.toml": PYPROJECT.format('"iniconfig==2.1.0"').replace("shop", "shared") + BACKEND,
    "libs/shared/src/shared/__init__.py": WSGI.format(module="iniconfig"),
    "libs/unused/pyproject.toml": PYPROJECT.format('"packaging==24.2"').replace("shop", "unused"),
    "services/shop/pyproject.toml": PYPROJECT.format('"shared"') + "[tool.uv.sources]\nshared = { workspace = true }\n",
    "services/shop/serve.py": SERVER.replace("from shop", "from shared") + "\nserve()\n",
    "services/shop/Procfile": "web: python serve.py",
    "services/shop/trivet.toml": "[build]\nroot = '../..'\ncommands = ['cat ../../libs/notes.txt > notes.txt']\n",
    "libs/notes.txt": "notes",
}


def test_a_member_of_a_workspace_is_built_with_what_lies_beside_it(builder: Builder) -> None:
    builder.repository.write(WORKSPACE)
    _lock(builder.repository)
    builder.repository.commit({})
    build = builder.build(directory="services/shop").build
    assert (build.source.directory, build.folder) == ("services/shop", "services/shop")
    assert builder.read(build, "services/shop/notes.txt") == "notes"
    names = {path.name for path in (builder.bundle(build) / "dependencies").glob("lib/*/site-packages/*")}
    assert {"iniconfig", "packaging"} & names == {"iniconfig"}
    assert (builder.bundle(build) / "packages" / "shared").is_dir()
    assert _answer(builder, build).endswith("/site-packages/iniconfig/__init__.py")


def test_a_path_dependency_outside_the_source_is_an_error_that_says_which_line_to_add(builder: Builder) -> None:
    sources = "[tool.uv.sources]\nshared = { path = '../../libs/shared' }\n"
    files: dict[str, str | None] = {**WORKSPACE, "services/shop/trivet.toml": "", "pyproject.toml": None}
    builder.repository.write({name: text for name, text in files.items() if text is not None})
    builder.repository.write({"services/shop/pyproject.toml": PYPROJECT.format('"shared"') + sources})
    _lock(builder.repository, "services/shop")
    builder.repository.commit({})
    with pytest.raises(LockfileError) as caught:
        builder.build(directory="services/shop")
    assert caught.value.message == "The package shared is in '../../libs/shared', which is not part of the source."
    assert caught.value.hint == 'Add to trivet.toml, under [build]: root = "../.."'
    builder.repository.commit({"services/shop/trivet.toml": "[build]\nroot = '../..'\n"})
    build = builder.build(directory="services/shop").build
    assert _answer(builder, build).endswith("/site-packages/iniconfig/__init__.py")


def test_a_root_outside_the_repository_is_an_error(builder: Builder) -> None:
    builder.repository.commit({"shop/trivet.toml": "[build]\nroot = '../..'\n", "shop/Procfile": "web: x"})
    with pytest.raises(InvalidFile) as caught:
        builder.build(directory="shop")
    assert caught.value.message == "trivet.toml:2: root '../..' leads out of the repository, from 'shop'."
    assert caught.value.hint == "It names a folder of the repository that holds the app's and what that needs."


@pytest.fixture
def movable_python(tmp_path: Path) -> Path:
    """A folder as uv keeps Pythons in, with a copy of the machine's that works wherever it is."""
    version = _version("/usr/bin/python3")
    short = version.rpartition(".")[0]
    own = tmp_path / "pythons" / f"cpython-{version}-linux-{platform.machine()}-gnu"
    (own / "bin").mkdir(parents=True)
    shutil.copy(Path("/usr/bin/python3").resolve(), own / "bin" / f"python{short}")
    (own / "bin" / "python3").symlink_to(f"python{short}")
    shutil.copytree(
        f"/usr/lib/python{short}", own / "lib" / f"python{short}", symlinks=False, ignore_dangling_symlinks=True
    )
    return own.parent


def _version(python: str) -> str:
    return subprocess.check_output(
        (python, "-c", "import platform; print(platform.python_version())"), text=True
    ).strip()


def test_a_python_that_can_be_moved_is_a_layer_and_the_machines_is_not_needed(
    builder: Builder, movable_python: Path, tmp_path: Path
) -> None:
    builder.caller = {**builder.caller, "UV_PYTHON_INSTALL_DIR": str(movable_python)}
    files = {"requirements.txt": "gunicorn==23.0.0\n", "app.py": "import gunicorn, ssl\n", "Procfile": "web: x"}
    build = builder.commit(files).build
    assert [layer.name for layer in build.layers] == ["runtime", "dependencies", "app"]
    assert build.runtime is None
    assert build.tools["python"].path.startswith(str(movable_python))
    shutil.rmtree(movable_python)
    moved = builder.home.root.rename(tmp_path / "another place")
    shown = "import app, sys; print(sys.executable, sys.base_prefix, sys.version_info[:2])"
    bundle = moved / builder.bundle(build).relative_to(builder.home.root)
    done = subprocess.run(
        (bundle / "dependencies" / "bin" / "python", "-c", shown),
        cwd=bundle / "app",
        env={"PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f" {bundle / build.layers[0].digest} " in done.stdout
    script = (bundle / "dependencies" / "bin" / "gunicorn", "--version")
    done = subprocess.run(script, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True)
    assert done.stdout == "gunicorn (version 23.0.0)\n"
    for layer in build.layers:
        verify_layer(Home(moved), layer)


_OLDER = """
import sys

class _Version(tuple):
    major, minor, micro, releaselevel, serial = property(lambda v: v[0]), property(lambda v: v[1]), 99, "final", 0

sys.version_info = _Version((*sys.version_info[:2], 99, "final", 0))
sys.version = "{version} (main)" + sys.version.partition("(main")[2].partition(")")[2]
"""


@pytest.fixture
def published_python(movable_python: Path, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A version that no machine has, and the address of a list in which uv finds where that is and its sum."""
    (own,) = movable_python.iterdir()
    (library,) = own.glob("lib/python3*")
    short = library.name.removeprefix("python")
    version = f"{short}.99"
    (library / "sitecustomize.py").write_text(_OLDER.format(version=version))
    served = tmp_path / "served"
    served.mkdir()
    with tarfile.open(served / "python.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(own, "python")
    shutil.rmtree(own)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        (served / "list.json").write_text(json.dumps({f"cpython-{version}": _download(version, served, url)}))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield version, f"{url}/list.json"
        server.shutdown()


def _download(version: str, served: Path, url: str) -> dict[str, object]:
    """An entry of uv's list of Pythons. https://docs.astral.sh/uv/reference/environment/#uv_python_downloads_json_url"""
    major, minor, patch = map(int, version.split("."))
    return {
        "name": "cpython",
        "arch": {"family": platform.machine(), "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "url": f"{url}/python.tar.gz",
        "sha256": hashlib.sha256((served / "python.tar.gz").read_bytes()).hexdigest(),
        "variant": None,
        "build": None,
    }


def test_a_python_that_the_machine_lacks_is_fetched_once_and_vendored(
    builder: Builder, published_python: tuple[str, str]
) -> None:
    version, address = published_python
    builder.caller = {**builder.caller, "UV_PYTHON_DOWNLOADS_JSON_URL": address}
    files = {
        ".python-version": f"{version}\n",
        "requirements.txt": "iniconfig==2.1.0\n",
        "app.py": "",
        "Procfile": "web: x",
    }
    build = builder.commit(files).build
    assert f"fetching Python {version}" in builder.told.steps
    assert build.tools["python"].path.startswith(f"{builder.home.pythons}/cpython-{version}-")
    assert (build.layers[0].name, build.runtime) == ("runtime", None)
    again = builder.commit({"app.py": "# changed"}).build
    assert f"fetching Python {version}" not in builder.told.steps
    assert again.layers[:2] == build.layers[:2]


def test_a_python_that_is_not_what_was_published_is_not_taken(
    builder: Builder, published_python: tuple[str, str], tmp_path: Path
) -> None:
    version, address = published_python
    with (tmp_path / "served" / "python.tar.gz").open("ab") as file:
        file.write(b"more")
    builder.caller = {**builder.caller, "UV_PYTHON_DOWNLOADS_JSON_URL": address}
    with pytest.raises(StepFailed) as caught:
        builder.commit({".python-version": f"{version}\n", "requirements.txt": "", "Procfile": "web: x"})
    assert caught.value.message == f"Fetching Python {version} ended with exit status 1."
    assert not list(builder.home.pythons.glob("cpython-*"))
