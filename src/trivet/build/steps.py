"""Steps that several builders plan: a venv, its bytecode, a Python that suits, and the app's own commands."""

from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files

from trivet.model.build_plan import APP as APP
from trivet.model.build_plan import (
    BUNDLE,
    CACHE,
    EARLIER,
    FETCHED_PYTHONS,
    PYTHON,
    PYTHONS,
    UV,
    LayerPlan,
    Phase,
    Step,
    Tool,
    literal,
)
from trivet.model.settings import Settings
from trivet.model.text import plain

VENV = f"{BUNDLE}/dependencies"
RUNTIME = f"{BUNDLE}/runtime"

_COPY = """set -eu
mkdir -p "$2"
cp -R -- "$(dirname -- "$(dirname -- "$1")")/." "$2"
rm -rf "$2"/lib/python3*/test "$2"/lib/python3*/idlelib "$2"/lib/python3*/turtledemo "$2"/lib/python3*/config-*
find "$2" -name __pycache__ -prune -exec rm -rf '{{}}' +
"""
_USE = """set -eu
python=$(basename -- "$(readlink -f -- "$2/bin/python")")
ln -sfn -- "../../$(basename -- "$(readlink -f -- "$1")")/bin/$python" "$2/bin/python"
echo "include-system-site-packages = false" > "$2/pyvenv.cfg"
"""

_SHOWN_CHARACTERS = 80

_TO_FETCH = frozenset(
    {
        *("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX_STRATEGY", "UV_FIND_LINKS"),
        *("UV_EXCLUDE_NEWER", "UV_PRERELEASE", "UV_RESOLUTION", "UV_HTTP_TIMEOUT", "UV_CONCURRENT_DOWNLOADS"),
        *("NPM_CONFIG_REGISTRY", "npm_config_registry", "YARN_NPM_REGISTRY_SERVER"),
        *("GOPROXY", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOSUMDB"),
    }
)

UV_ENVIRONMENT: Mapping[str, str] = {
    "UV_CACHE_DIR": f"{CACHE}/uv",
    "UV_LINK_MODE": "copy",  # a hard link would share an inode with uv's cache
    "UV_NO_INSTALLER_METADATA": "1",  # which holds times and paths
    "UV_NO_PROGRESS": "1",
    "UV_PROJECT_ENVIRONMENT": VENV,
    "UV_PYTHON_DOWNLOADS": "never",
    "UV_PYTHON_INSTALL_DIR": PYTHONS,
    "PYTHONNOUSERSITE": "1",
}
PYTHON_ENVIRONMENT: Mapping[str, str] = {
    "PATH": f"{VENV}/bin",
    "VIRTUAL_ENV": VENV,
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNOUSERSITE": "1",
}


def declared(settings: Settings, phase: Phase) -> Mapping[str, str]:
    """The variables of `[build.environment]`, as a step of the phase takes them.

    Of what fetches, only those that say where packages come from and which: by most others (PATH, LD_PRELOAD,
    GIT_SSH_COMMAND, NODE_OPTIONS, …) a program can be made to run code of the app, and that has no network.
    """
    own = settings.build.environment.items()
    return {name: literal(value) for name, value in own if phase is Phase.COMPILE or name in _TO_FETCH}


def command_steps(settings: Settings, environment: Mapping[str, str]) -> tuple[Step, ...]:
    """The commands of `[build] commands`, each run by the shell in the app's folder."""
    return tuple(
        Step(
            title=f"running {_shorten(command)}",
            argv=("/bin/sh", "-c", literal(command)),
            directory=APP,
            environment={**declared(settings, Phase.COMPILE), **environment},
            hint="The command stands in trivet.toml, [build] commands. It sees no config: what must be set for the build "
            "goes into [build.environment].",
        )
        for command in settings.build.commands
    )


def _shorten(command: str) -> str:
    """The command on one line of a screen."""
    line = plain(" ".join(command.split())).strip()
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[: _SHOWN_CHARACTERS - 1]}…"


def python_tools(*asked: str, hint: str, wanted: str = "") -> tuple[Tool, ...]:
    """uv, and the Python that the bundle is to rely on: found by uv, or fetched in the version that is wanted."""
    own = find_python(*asked, hint=hint)
    fetched = replace(own, environment={**UV_ENVIRONMENT, "UV_PYTHON_INSTALL_DIR": FETCHED_PYTHONS})
    return Tool("uv"), Tool(
        "python", hint, (own, fetched), fetch_python(wanted, hint) if wanted else None, is_runtime=True
    )


def fetch_python(wanted: str, hint: str) -> Step:
    """A Python of this version lies among those that builds have fetched, checked by uv against the sums that it knows."""
    argv = (UV, "python", "install", "--no-bin", "--no-config", "--install-dir", FETCHED_PYTHONS, literal(wanted))
    environment = {**UV_ENVIRONMENT, "UV_PYTHON_DOWNLOADS": "manual", "UV_PYTHON_CACHE_DIR": f"{CACHE}/pythons"}
    return Step(f"fetching Python {wanted}", argv, Phase.FETCH, directory="/", environment=environment, hint=hint)


def find_python(*asked: str, hint: str) -> Step:
    """The step that says where a Python is that suits."""
    argv = (UV, "python", "find", "--system", *asked)
    return Step("finding Python", argv, Phase.FETCH, environment=UV_ENVIRONMENT, hint=hint)


def make_venv() -> Step:
    """The dependencies are an empty venv that works wherever it is moved to."""
    argv = (UV, "venv", "--relocatable", "--allow-existing", "--no-project", "--python", PYTHON, VENV)
    return Step("making a virtual environment", argv, Phase.FETCH, environment=UV_ENVIRONMENT)


def vendored_python() -> LayerPlan:
    """A layer that is the Python that was found, where it can be moved: without its tests, with bytecode."""
    copy = Step("copying Python", ("/bin/sh", "-c", _COPY, "sh", PYTHON, RUNTIME), directory=BUNDLE)
    how = ("-f", "-qq", "-j", "1", "--invalidation-mode", "unchecked-hash", "-s", BUNDLE)
    bytecode = Step(
        "compiling runtime",
        (PYTHON, "-I", "-m", "compileall", *how, f"{RUNTIME}/lib"),
        directory=BUNDLE,
        environment={"PYTHONHASHSEED": "0"},
        tolerated=(1,),
    )
    return LayerPlan("runtime", (copy, bytecode), inputs=(), vendors="python")


def use_vendored_python() -> Step:
    """The venv starts the Python of the layer `runtime`, if there is one, by a path as seen from the venv.

    Layers lie beside each other under their digests, so that is how this one names the other; the bundle has the runtime
    under that name, too, since Python follows links by their text. Without the line `home` in pyvenv.cfg it finds its own
    folder that way (measured with 3.11, 3.12 and 3.13).
    """
    argv = ("/bin/sh", "-c", _USE, "sh", RUNTIME, VENV)
    return Step("linking the virtual environment to its Python", argv, directory=BUNDLE, beside="runtime")


def compile_bytecode(folder: str, *, quietly: bool) -> Step:
    """Every Python file below the bundle's folder has bytecode, of which none is made again that an earlier build has."""
    program = literal((files("trivet.build") / "bytecode.py").read_text(encoding="utf-8"))
    layer, _, below = folder.partition("/")
    places = (BUNDLE, f"{BUNDLE}/{folder}", f"{EARLIER}/{below}")
    return Step(
        title=f"compiling {layer}",
        argv=(PYTHON, "-s", "-S", "-c", program, *places, "quietly" if quietly else "aloud"),
        directory="/",  # where no command of the app can have put a module that this would import
        environment={"PYTHONHASHSEED": "0"},
    )
