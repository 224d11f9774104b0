"""Layers of a Node app: its production dependencies, and beside them what only the build needs.

Each is installed in a folder that holds nothing of the app but what decides dependencies, so nothing of it can be run
while the network is open; install scripts of packages run afterwards, without it, and only those that the app allows.
"""

import posixpath
from collections.abc import Mapping

from trivet.build.node.manager import Kind, Manager
from trivet.build.node.project import Project
from trivet.build.node.script import needs_copies
from trivet.model.build_plan import (
    APP,
    BUNDLE,
    CACHE,
    COMPONENTS,
    NODE,
    NODE_FOLDER,
    NPM,
    SCRATCH,
    SOURCE,
    LayerPlan,
    Link,
    Listing,
    Phase,
    Step,
    Tool,
    literal,
)

DEPENDENCIES = "dependencies"
BUILD_DEPENDENCIES = "build-dependencies"
_MANAGER = "package-manager"
_MANAGER_PROGRAMS = f"{BUNDLE}/{_MANAGER}/node_modules/.bin"

_ENVIRONMENT: Mapping[str, str] = {
    "PATH": NODE_FOLDER,
    "npm_config_cache": f"{CACHE}/npm",
    "npm_config_audit": "false",
    "npm_config_fund": "false",
    "npm_config_progress": "false",
    "npm_config_update_notifier": "false",
    "npm_config_ignore_scripts": "true",
    "npm_config_engine_strict": "false",
    "npm_config_offline": "false",
    "npm_config_git": "/bin/false",  # a package from git would run its code while it is fetched
}
_PNPM: Mapping[str, str] = {
    "npm_config_store_dir": f"{CACHE}/pnpm",
    "npm_config_cache_dir": f"{CACHE}/pnpm-metadata",
    "npm_config_package_import_method": "copy",  # a hard link would share an inode with pnpm's store
    "npm_config_prefer_symlinked_executables": "true",  # the scripts that it writes else hold paths
    "npm_config_side_effects_cache": "false",
    "npm_config_manage_package_manager_versions": "false",
    "npm_config_verify_deps_before_run": "false",
    "npm_config_ignore_pnpmfile": "true",
}
_PNPM_REBUILD: Mapping[str, str] = {
    "npm_config_manage_package_manager_versions": "false",
    "npm_config_dangerously_allow_all_builds": "true",  # of those that the command names: it reads no allowScripts
}
_YARN_CLASSIC: Mapping[str, str] = {"YARN_CACHE_FOLDER": f"{CACHE}/yarn-classic"}
_YARN: Mapping[str, str] = {
    "YARN_GLOBAL_FOLDER": f"{CACHE}/yarn",
    "YARN_ENABLE_GLOBAL_CACHE": "true",
    "YARN_ENABLE_SCRIPTS": "false",
    "YARN_ENABLE_TELEMETRY": "false",
    "YARN_ENABLE_PROGRESS_BARS": "false",
    "YARN_IGNORE_PATH": "true",
    "YARN_NM_MODE": "classic",
    "YARN_NODE_LINKER": "node-modules",
}
_FLAGS: Mapping[Kind, tuple[str, Mapping[str, str], tuple[str, ...], tuple[str, ...]]] = {
    Kind.NPM: ("npm", {}, ("ci",), ("--omit=dev",)),
    Kind.PNPM: (
        "pnpm",
        _PNPM,
        ("install", "--frozen-lockfile", "--ignore-scripts", "--reporter=append-only"),
        ("--prod",),
    ),
    Kind.YARN_CLASSIC: (
        "yarn",
        _YARN_CLASSIC,
        ("install", "--frozen-lockfile", "--ignore-scripts", "--non-interactive", "--no-progress", "--no-default-rc"),
        ("--production",),
    ),
    Kind.YARN: ("yarn", _YARN, ("install", "--immutable"), ()),
}
_FOCUS = ("workspaces", "focus", "--all", "--production")

# What node-gyp leaves beside what it has compiled: it holds the paths of this build.
_FORGET_COMPILING = """
find . -path '*/node_modules/*/build*/config.gypi' -type f | while IFS= read -r file; do
  find "$(dirname "$file")" -depth '(' -type d '(' -name .deps -o -name obj -o -name obj.target ')' ')' \
    -o '(' -type f '(' -name '*.mk' -o -name '*Makefile' -o -name config.gypi -o -name gyp-mac-tool ')' ')' |
    while IFS= read -r found; do rm -rf "$found"; done
done
"""
# What package managers write of the times and the folder in which they worked, and what they were given.
_TIDY = """
find . -maxdepth 6 -type f -path '*/node_modules/.*' '(' -name .modules.yaml -o -name '.pnpm-workspace-state*.json' \
  -o -name .yarn-integrity -o -name .yarn-state.yml ')' -delete
rm -rf .yarn .pnp.*
rm -f "$@"
find . -depth -type d -not -path '*/node_modules/*' -empty -delete
"""
_REBUILD = 'npm_config_nodedir=$(dirname "$(dirname "$1")"); export npm_config_nodedir; exec "$@"'


def node_tools(project: Project, *, is_runtime: bool) -> tuple[Tool, ...]:
    """node, in a version that suits, and npm."""
    change = f", or change what {project.node_by} asks for" if project.node_by else ""
    node = Tool(
        "node",
        hint=f"Install a Node that suits (`apt-get install nodejs npm`, or from https://nodejs.org){change}.",
        is_runtime=is_runtime,
        wanted=project.node,
        wanted_by=project.node_by,
    )
    hint = "npm comes with Node; Debian has it in a package of its own: `apt-get install npm`."
    argv = ("/bin/sh", "-c", "command -v npm")
    find = Step("finding npm", argv, Phase.FETCH, directory="/", environment={"PATH": NODE_FOLDER}, hint=hint)
    return node, Tool("npm", hint, (find,))


def list_components(project: Project) -> Listing | None:
    """npm knows what needs what, and where each package came from: of its own lockfile, for an app that has a version."""
    if project.above or project.manager.kind is not Kind.NPM or not project.top.data.get("version"):
        return None
    ask = 'exec "$0" "$1" sbom --omit dev --package-lock-only --sbom-format cyclonedx >"$2"'
    environment = {"PATH": NODE_FOLDER, "npm_config_cache": f"{SCRATCH}/npm", "npm_config_update_notifier": "false"}
    argv = ("/bin/sh", "-c", ask, NODE, NPM, COMPONENTS)
    step = Step("listing the components", argv, directory=APP, environment=environment)
    return Listing(step, (project.manager.lockfile, "package.json"))


def manager_layers(project: Project) -> tuple[LayerPlan, ...]:
    """The package manager, if it is not the npm that comes with node: from the registry, in the version the app is made with."""
    package = project.manager.package
    if package is None:
        return ()
    install = Step(
        f"installing {package}",
        (NODE, NPM, "install", "--no-save", "--no-package-lock", "--ignore-scripts", package),
        Phase.FETCH,
        directory=f"{BUNDLE}/{_MANAGER}",
        environment=_ENVIRONMENT,
        hint="npm's words say what it met. The version is that of packageManager in package.json.",
    )
    files = {"package.json": '{"private": true}\n'}
    return (LayerPlan(_MANAGER, (install,), files, inputs=(), only_for_build=True),)


def production_layer(project: Project) -> LayerPlan:
    """What the app needs when it runs."""
    return _layer(project, DEPENDENCIES, for_production=True)


def build_layer(project: Project) -> LayerPlan:
    """All dependencies, for build scripts; not in the bundle."""
    return _layer(project, BUILD_DEPENDENCIES, for_production=False)


def links(project: Project, layer: str) -> tuple[Link, ...]:
    """The app has the layer's packages where node looks for them."""
    return tuple(Link(folder, layer) for folder in project.module_folders)


def loans(project: Project, layer: str) -> tuple[Link, ...]:
    """The layer's packages are there while the app is built."""
    is_copied = needs_copies(project.packages)
    return tuple(Link(folder, layer, is_copied=is_copied) for folder in project.module_folders)


def make_executable(project: Project) -> tuple[Step, ...]:
    """Programs of the source's own packages can be started, whatever modes were committed: npm would see to it."""
    if not project.programs:
        return ()
    paths = tuple(literal(path) for path in project.programs)
    return (Step("making programs of packages executable", ("chmod", "+x", "--", *paths), directory=f"{BUNDLE}/app"),)


def run_environment(own: Mapping[str, str]) -> Mapping[str, str]:
    """What commands of the app see while they build: production, unless `[build.environment]` says otherwise."""
    return {
        "NODE_ENV": "production",
        "npm_config_update_notifier": "false",
        "npm_config_fund": "false",
        **own,
        "PATH": f"{BUNDLE}/app/node_modules/.bin:{_MANAGER_PROGRAMS}:{NODE_FOLDER}",
    }


def _layer(project: Project, name: str, *, for_production: bool) -> LayerPlan:
    folder = f"{BUNDLE}/{name}"
    steps = (
        *_copy(project, folder),
        _install(project.manager, folder, for_production=for_production),
        *_install_scripts(project, folder),
        _tidy(project, folder),
    )
    inputs = tuple(posixpath.join(project.above, path) for path in project.copied)
    return LayerPlan(name, steps, project.files, inputs=inputs, only_for_build=not for_production)


def _copy(project: Project, folder: str) -> tuple[Step, ...]:
    """Paths are given as arguments after `--`: they come from the app."""
    if not project.copied:
        return ()
    paths = tuple(literal(path) for path in project.copied)
    place = f"{SOURCE}/{project.above}" if project.above else SOURCE
    return (Step("copying packages of the source", ("cp", "--parents", "--", *paths, folder), Phase.FETCH, place),)


def _install(manager: Manager, folder: str, *, for_production: bool) -> Step:
    program, environment, arguments, production = _FLAGS[manager.kind]
    if for_production and manager.kind is Kind.YARN:
        arguments = _FOCUS
    argv = (NODE, NPM) if manager.kind is Kind.NPM else (f"{_MANAGER_PROGRAMS}/{program}",)
    return Step(
        f"installing {'dependencies' if for_production else 'what the build needs'} from {manager.lockfile}",
        (*argv, *arguments, *(production if for_production else ())),
        Phase.FETCH,
        directory=folder,
        environment={**_ENVIRONMENT, **environment},
        hint=f"{program}'s words say which package it is about. If {manager.lockfile} is not what it should be, "
        f"run `{manager.mend}` and commit it.",
    )


def _install_scripts(project: Project, folder: str) -> tuple[Step, ...]:
    if not project.allowed:
        return ()
    names = tuple(literal(name) for name in project.allowed)
    uses_pnpm = project.manager.kind is Kind.PNPM
    command = (f"{_MANAGER_PROGRAMS}/pnpm", "rebuild") if uses_pnpm else (NPM, "rebuild", "--foreground-scripts")
    return (
        Step(
            f"running the install scripts of {', '.join(project.allowed)}",
            ("/bin/sh", "-c", _REBUILD, "sh", NODE, *command, *names),
            directory=folder,
            environment={
                "PATH": NODE_FOLDER,
                "npm_config_offline": "true",
                "npm_config_update_notifier": "false",
                **(_PNPM_REBUILD if uses_pnpm else {}),
            },
            hint="They run without the network. Compiling needs g++, make, Python and node's headers "
            "(`apt-get install g++ make python3 libnode-dev`).",
        ),
    )


def _tidy(project: Project, folder: str) -> Step:
    given = tuple(f"./{literal(path)}" for path in (*project.files, *project.copied))
    script = f"{_FORGET_COMPILING}{_TIDY}" if project.allowed else _TIDY
    return Step("tidying up", ("/bin/sh", "-e", "-c", script, "sh", *given), directory=folder)
