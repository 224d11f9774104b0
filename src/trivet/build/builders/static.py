"""Static: files served by WhiteNoise on gunicorn, vendored as an app's own server would be (decision 0003)."""

from importlib.resources import files

from trivet.build.steps import (
    PYTHON_ENVIRONMENT,
    UV_ENVIRONMENT,
    VENV,
    command_steps,
    compile_bytecode,
    find_python,
    make_venv,
)
from trivet.model.build_plan import BUNDLE, UV, BuildPlan, LayerPlan, SourceTree, Step
from trivet.model.settings import Settings

NAME = "static"
LOOKED_FOR = "index.html or public/ (static files)"

_WEB = "gunicorn --bind 127.0.0.1:$PORT --worker-class gthread --threads 16 --access-logfile - 'static_server:application()'"
_OLDEST_PYTHON = ">=3.10"


def recognise(tree: SourceTree) -> bool:
    """Whether there are files to be served: an index.html at the top, or a folder `public`."""
    return "index.html" in tree.files or _has_public(tree)


def plan(tree: SourceTree, settings: Settings) -> BuildPlan:
    """Three layers: the server's few lines, its packages, and the files."""
    shipped = {name: _shipped(name) for name in ("static_server.py", "static_requirements.txt")}
    return BuildPlan(
        builder=NAME,
        layers=(
            LayerPlan("server", files=shipped, inputs=()),
            LayerPlan("dependencies", _dependency_steps(), inputs=()),
            LayerPlan("app", command_steps(settings, {}), with_source=True),
        ),
        environment={
            **PYTHON_ENVIRONMENT,
            "PYTHONPATH": f"{BUNDLE}/server",
            "STATIC_ROOT": f"{BUNDLE}/app/public" if _serves_public(tree) else f"{BUNDLE}/app",
        },
        processes={"web": _WEB},
        interpreter=find_python(
            "--no-config",
            "--no-project",
            _OLDEST_PYTHON,
            hint="Static files are served by a Python program. Install Python 3.10 or newer, "
            "for example with `uv python install`.",
        ),
    )


def _dependency_steps() -> tuple[Step, ...]:
    requirements = ("--require-hashes", "--requirement", f"{BUNDLE}/server/static_requirements.txt")
    install = Step(
        "installing the static file server",
        (UV, "pip", "install", "--python", f"{VENV}/bin/python", *requirements),
        directory=BUNDLE,
        environment=UV_ENVIRONMENT,
        hint="This machine must reach PyPI once; uv's words say what it met.",
    )
    return make_venv(), install, compile_bytecode("dependencies/lib", quietly=True)


def _has_public(tree: SourceTree) -> bool:
    return any(path.startswith("public/") for path in tree.files)


def _serves_public(tree: SourceTree) -> bool:
    """A `public` without a page of its own beside a page at the top is a part of the site, not the site."""
    return "public/index.html" in tree.files or "index.html" not in tree.files


def _shipped(name: str) -> str:
    """The text of a file that comes with this builder."""
    return (files(__package__) / name).read_text(encoding="utf-8")
