"""Static: files served by WhiteNoise on gunicorn, vendored as an app's own server would be (decision 0003)."""

from importlib.resources import files

from trivet.build.steps import (
    APP,
    PYTHON_ENVIRONMENT,
    UV_ENVIRONMENT,
    VENV,
    command_steps,
    compile_bytecode,
    make_venv,
    python_tools,
    use_vendored_python,
    vendored_python,
)
from trivet.model.build_plan import BUNDLE, UV, BuildPlan, LayerPlan, Phase, SourceTree, Step
from trivet.model.settings import Settings

NAME = "static"
LOOKED_FOR = "index.html or public/ (static files)"

_WEB = "gunicorn --bind 127.0.0.1:$PORT --worker-class gthread --threads 16 --access-logfile - 'static_server:application()'"
_OLDEST_PYTHON = ">=3.10"
_IS_SITE = "if [ -d public ]; then find -L public -type f 2>/dev/null | grep -q .; else [ -f index.html ]; fi"
_PAGE_LEFT_OUT = (
    "The index.html at the top is not served: there is a folder public/, and only what is in there is. "
    "Move the page into public/, or give the folder another name."
)


def recognise(tree: SourceTree) -> bool:
    """Whether there are files to be served: an index.html at the top, or a folder `public`."""
    return "index.html" in tree.files or _has_public(tree)


def plan(tree: SourceTree, settings: Settings) -> BuildPlan:
    """Three layers: the server's few lines, its packages, and the files."""
    shipped = {name: _shipped(name) for name in ("static_server.py", "static_requirements.txt")}
    return BuildPlan(
        builder=NAME,
        layers=(
            vendored_python(),
            LayerPlan("server", files=shipped, inputs=()),
            LayerPlan("dependencies", _dependency_steps(), inputs=()),
            LayerPlan("app", (*command_steps(settings, {}), *_checks(tree)), with_source=True),
        ),
        environment={
            **PYTHON_ENVIRONMENT,
            "PYTHONPATH": f"{BUNDLE}/server",
            "STATIC_ROOT": APP,
        },
        processes={"web": _WEB},
        tools=python_tools(
            "--no-config",
            "--no-project",
            _OLDEST_PYTHON,
            hint="Static files are served by a Python program. Install Python 3.10 or newer, "
            "for example with `uv python install`.",
        ),
        notices=(_PAGE_LEFT_OUT,) if "Procfile" not in tree.files and _leaves_page_out(tree) else (),
    )


def _dependency_steps() -> tuple[Step, ...]:
    requirements = ("--require-hashes", "--requirement", f"{BUNDLE}/server/static_requirements.txt")
    install = Step(
        "installing the static file server",
        (UV, "pip", "install", "--python", f"{VENV}/bin/python", *requirements),
        Phase.FETCH,
        directory=BUNDLE,
        environment=UV_ENVIRONMENT,
        hint="This machine must reach PyPI once; uv's words say what it met.",
    )
    return make_venv(), install, compile_bytecode("dependencies/lib", quietly=True), use_vendored_python()


def _has_public(tree: SourceTree) -> bool:
    return any(path.startswith("public/") for path in tree.files)


def _leaves_page_out(tree: SourceTree) -> bool:
    """Whether a folder `public` keeps the page at the top from being served, and has none of its own."""
    return "index.html" in tree.files and _has_public(tree) and "public/index.html" not in tree.files


def _checks(tree: SourceTree) -> tuple[Step, ...]:
    """What the commands of the app left is a site, unless a Procfile says what is to be served."""
    if "Procfile" in tree.files:
        return ()
    return (
        Step(
            "looking for pages",
            ("/bin/sh", "-c", _IS_SITE),
            directory=APP,
            hint="Have [build] commands write the pages into public/, or commit an index.html.",
            finding="There is nothing to serve: no file in a folder public/, "
            "and without that folder no index.html at the top.",
        ),
    )


def _shipped(name: str) -> str:
    """The text of a file that comes with this builder."""
    return (files(__package__) / name).read_text(encoding="utf-8")
