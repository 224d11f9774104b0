"""Static: files served by WhiteNoise on gunicorn, vendored as an app's own server would be (decision 0003).

They are committed, or the build script of a package.json writes them.
"""

from importlib.resources import files

from trivet.build.node.install import (
    BUILD_DEPENDENCIES,
    build_layer,
    loans,
    make_executable,
    manager_layers,
    node_tools,
    run_environment,
)
from trivet.build.node.package import read_package
from trivet.build.node.project import Project, read_project
from trivet.build.node.script import build_script, gather_pages
from trivet.build.node.start import has_build_script, has_package
from trivet.build.steps import (
    APP,
    PYTHON_ENVIRONMENT,
    UV_ENVIRONMENT,
    VENV,
    command_steps,
    compile_bytecode,
    declared,
    make_venv,
    python_tools,
    use_vendored_python,
    vendored_python,
)
from trivet.model.build_plan import BUNDLE, UV, BuildPlan, LayerPlan, Phase, SourceTree, Step
from trivet.model.settings import Settings

NAME = "static"
LOOKED_FOR = "index.html, public/ or a package.json with only a build script (static files)"

_WEB = "gunicorn --bind 127.0.0.1:$PORT --worker-class gthread --threads 16 --access-logfile - 'static_server:application()'"
_OLDEST_PYTHON = ">=3.10"
_IS_SITE = "if [ -d public ]; then find -L public -type f 2>/dev/null | grep -q .; else [ -f index.html ]; fi"
_PAGE_LEFT_OUT = (
    "The index.html at the top is not served: there is a folder public/, and only what is in there is. "
    "Move the page into public/, or give the folder another name."
)


def recognise(tree: SourceTree) -> bool:
    """Whether there are files to be served: an index.html at the top, a folder `public`, or a script that builds them."""
    return "index.html" in tree.files or _has_public(tree) or _has_script(tree)


def plan(tree: SourceTree, settings: Settings) -> BuildPlan:
    """Three layers: the server's few lines, its packages, and the files. Raises: as read_project does."""
    project = read_project(tree) if _has_script(tree) else None
    shipped = {name: _shipped(name) for name in ("static_server.py", "static_requirements.txt")}
    return BuildPlan(
        builder=NAME,
        layers=(
            vendored_python(),
            LayerPlan("server", files=shipped, inputs=()),
            LayerPlan("dependencies", _dependency_steps(), inputs=()),
            *_files(tree, settings, project),
        ),
        environment={
            **PYTHON_ENVIRONMENT,
            "PYTHONPATH": f"{BUNDLE}/server",
            "STATIC_ROOT": APP,
        },
        processes={"web": _WEB},
        tools=(
            *python_tools(
                "--no-config",
                "--no-project",
                _OLDEST_PYTHON,
                hint="Static files are served by a Python program. Install Python 3.10 or newer, "
                "for example with `uv python install`.",
                wanted=_OLDEST_PYTHON,
            ),
            *(node_tools(project, is_runtime=False) if project else ()),
        ),
        notices=project.notices if project else _page_notices(tree),
    )


def _files(tree: SourceTree, settings: Settings, project: Project | None) -> tuple[LayerPlan, ...]:
    """The layer that is served, and before it what only a build script needs."""
    if project is None:
        gather = (gather_pages(settings.build.output),) if settings.build.output else ()
        return (LayerPlan("app", (*command_steps(settings, {}), *gather, *_checks(tree)), with_source=True),)
    environment = run_environment(declared(settings, Phase.COMPILE))
    commands = (*build_script(environment), *command_steps(settings, environment), gather_pages(settings.build.output))
    steps = (*make_executable(project), *commands)
    app = LayerPlan("app", steps, with_source=True, borrows=loans(project, BUILD_DEPENDENCIES))
    return (*manager_layers(project), build_layer(project), app)


def _has_script(tree: SourceTree) -> bool:
    return has_package(tree) and has_build_script(read_package(tree))


def _page_notices(tree: SourceTree) -> tuple[str, ...]:
    return (_PAGE_LEFT_OUT,) if "Procfile" not in tree.files and _leaves_page_out(tree) else ()


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
