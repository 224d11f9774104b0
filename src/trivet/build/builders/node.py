"""Node: production dependencies from the lockfile, and the app beside them after its build script.

Three layers, of which two are in the bundle: `dependencies`, `build-dependencies` (kept for the next build), `app`. The app's
node_modules is a link to the dependencies, so that one changed file costs one small layer.
"""

from collections.abc import Mapping

from trivet.build.node.install import (
    BUILD_DEPENDENCIES,
    DEPENDENCIES,
    build_layer,
    links,
    list_components,
    loans,
    make_executable,
    manager_layers,
    node_tools,
    production_layer,
    run_environment,
)
from trivet.build.node.package import Package, read_package
from trivet.build.node.project import Project, read_project
from trivet.build.node.script import build_script
from trivet.build.node.start import explain_no_default, has_build_script, has_package, read_kind
from trivet.build.steps import command_steps, declared
from trivet.model.build_plan import BUNDLE, BuildPlan, LayerPlan, Phase, SourceTree
from trivet.model.settings import Settings

NAME = "node"
LOOKED_FOR = "package.json (Node)"

_ENVIRONMENT: Mapping[str, str] = {
    "PATH": f"{BUNDLE}/app/node_modules/.bin",
    "NODE_ENV": "production",
    "npm_config_update_notifier": "false",
}


def recognise(tree: SourceTree) -> bool:
    """Whether there is a package.json of an app that runs; a site of files is for another builder."""
    return has_package(tree) and not read_kind(tree).is_site


def plan(tree: SourceTree, settings: Settings) -> BuildPlan:
    """Layers for the dependencies, found by lockfile and manifests, and one for the app. Raises: as read_project does."""
    project, own = read_project(tree), read_package(tree)
    has_procfile = "Procfile" in tree.files
    web = None if has_procfile else read_kind(tree).web
    return BuildPlan(
        builder=NAME,
        layers=(*manager_layers(project), production_layer(project), *_built(project, own, settings)),
        environment=_ENVIRONMENT,
        processes={"web": web} if web else {},
        tools=node_tools(project, is_runtime=True),
        listing=list_components(project),
        notices=(*project.notices, *_left_out(own)),
        no_default=None if web or has_procfile else explain_no_default(tree),
    )


def _built(project: Project, own: Package, settings: Settings) -> tuple[LayerPlan, ...]:
    """The app, and before it what only its build needs."""
    environment = run_environment(declared(settings, Phase.COMPILE))
    script = build_script(environment) if has_build_script(own) else ()
    commands = (*script, *command_steps(settings, environment))
    needs_more = bool(commands) and project.has_development
    lender = BUILD_DEPENDENCIES if needs_more else DEPENDENCIES
    app = LayerPlan(
        "app",
        (*make_executable(project), *commands),
        with_source=True,
        borrows=loans(project, lender) if commands else (),
        links=links(project, DEPENDENCIES),
    )
    return (build_layer(project), app) if needs_more else (app,)


def _left_out(top: Package) -> tuple[str, ...]:
    """What `npm install` would have run, and a person may miss."""
    present = [name for name in ("preinstall", "install", "postinstall") if top.scripts.get(name)]
    last = present[-1] if present else ""
    told = (
        f"Not run: {' and '.join(present)} of package.json, since dependencies are installed apart from the app. "
        f'What the build needs of it goes into trivet.toml: [build] commands = ["npm run {last}"].'
    )
    return (told,) if present else ()
