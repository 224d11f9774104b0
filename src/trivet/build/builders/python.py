"""Python: a venv from uv.lock or requirements.txt, and the app beside it, both compiled to bytecode.

Measured in the build (research on stores): a read-only tree without bytecode imports four times slower, and only
unchecked-hash bytecode stays valid when times are not kept. `uv venv --relocatable` before `uv sync`, without installer
metadata and without absolute paths in bytecode, gives the same bytes in every folder.
"""

from collections.abc import Iterator

from trivet.build.manifests import Packages, read_project, read_requirements, read_uv_lock
from trivet.build.python_web import default_web, explain_no_default
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
)
from trivet.errors import LockfileError
from trivet.model.build_plan import COMPONENTS, PYTHON, UV, BuildPlan, LayerPlan, Listing, Phase, SourceTree, Step, Tool
from trivet.model.settings import Settings

NAME = "python"
LOOKED_FOR = "uv.lock, requirements.txt or pyproject.toml (Python)"

_LOCKFILES = ("uv.lock", "requirements.txt")
_MANIFESTS = (*_LOCKFILES, "Pipfile", "Pipfile.lock", "poetry.lock", "pdm.lock", "setup.py")


def recognise(tree: SourceTree) -> bool:
    """Whether the source says which Python packages it needs, in whatever way."""
    return any(name in tree.files for name in _MANIFESTS) or read_project(tree).is_python


def plan(tree: SourceTree, settings: Settings) -> BuildPlan:
    """A venv layer, found by its lockfile, and an app layer. Raises: LockfileError, InvalidFile."""
    lockfile = _choose_lockfile(tree)
    is_package = lockfile == "uv.lock" and read_project(tree).is_package
    packages = read_uv_lock(tree) if lockfile == "uv.lock" else read_requirements(tree, lockfile)
    install = _sync_steps(settings, is_package=is_package) if lockfile == "uv.lock" else _pip_steps(settings)
    has_procfile = "Procfile" in tree.files
    web = None if has_procfile else default_web(tree, packages)
    return BuildPlan(
        builder=NAME,
        layers=(
            LayerPlan(
                "dependencies",
                (*install, compile_bytecode("dependencies/lib", quietly=True)),
                inputs=None if is_package or packages.are_local else packages.files,
            ),
            LayerPlan(
                "app",
                (*command_steps(settings, PYTHON_ENVIRONMENT), compile_bytecode("app", quietly=False)),
                with_source=True,
            ),
        ),
        environment=PYTHON_ENVIRONMENT,
        processes={"web": web} if web else {},
        tools=_tools(tree),
        notices=tuple(_notices(packages)),
        no_default=None if web or has_procfile else explain_no_default(tree, packages),
        listing=_list_components() if lockfile == "uv.lock" else None,
    )


def _choose_lockfile(tree: SourceTree) -> str:
    present = [name for name in _LOCKFILES if name in tree.files]
    if len(present) == 1:
        return present[0]
    if present:
        raise LockfileError(
            "There are two lockfiles, uv.lock and requirements.txt, so it is not clear what to install.",
            hint="Remove one from the commit: `git rm requirements.txt` to install from uv.lock.",
        )
    manifest = next((name for name in ("pyproject.toml", *_MANIFESTS) if name in tree.files), "pyproject.toml")
    if "project" not in (tree.read("pyproject.toml") or ""):
        raise LockfileError(
            f"There is {manifest}, but no uv.lock or requirements.txt that says which versions to install.",
            hint="Write the installed versions with `uv pip freeze > requirements.txt` (or `pip freeze`), and commit it.",
        )
    raise LockfileError(
        f"There is {manifest}, but no uv.lock that says which versions to install.",
        hint="Run `uv lock` and commit uv.lock.",
    )


def _sync_steps(settings: Settings, *, is_package: bool) -> tuple[Step, ...]:
    environment = {**declared(settings), **UV_ENVIRONMENT}
    project = () if is_package else ("--no-install-project",)
    check = Step(
        "checking uv.lock against pyproject.toml",
        (UV, "lock", "--check", "--python", PYTHON),
        Phase.FETCH,
        environment=environment,
        hint="Run `uv lock` and commit uv.lock.",
        checks="uv.lock",
    )
    sync = Step(
        "installing dependencies from uv.lock",
        (UV, "sync", "--locked", "--no-dev", "--no-editable", *project, "--python", PYTHON),
        Phase.FETCH,
        environment=environment,
        hint="uv's words say which package it is about.",
    )
    return check, make_venv(), sync


def _list_components() -> Listing:
    """uv knows what needs what, and where each package came from; only of a uv.lock."""
    export = (UV, "export", "--frozen", "--no-dev", "--format", "cyclonedx1.5", "--quiet")
    step = Step(
        "listing the components",
        (*export, "--offline", "--python", PYTHON, "--output-file", COMPONENTS),
        directory=APP,
        environment=UV_ENVIRONMENT,
    )
    return Listing(step, ("uv.lock", "pyproject.toml"))


def _pip_steps(settings: Settings) -> tuple[Step, ...]:
    install = Step(
        "installing dependencies from requirements.txt",
        (UV, "pip", "install", "--python", f"{VENV}/bin/python", "--requirement", "requirements.txt"),
        Phase.FETCH,
        environment={**declared(settings), **UV_ENVIRONMENT},
        hint="uv's words say which line of requirements.txt it is about.",
    )
    return make_venv(), install


def _tools(tree: SourceTree) -> tuple[Tool, ...]:
    """uv heeds .python-version and requires-python, but in every folder upwards, so it is asked only if the app has one."""
    asking = [".python-version"] if ".python-version" in tree.files else []
    if read_project(tree).is_python:
        asking.append("pyproject.toml")
    alone = () if asking else ("--no-config", "--no-project")
    change = f", or change what {' or '.join(asking)} asks for" if asking else ""
    return python_tools(*alone, hint=f"Install a Python that suits, for example with `uv python install`{change}.")


def _notices(packages: Packages) -> Iterator[str]:
    if packages.unpinned:
        shown = ", ".join(packages.unpinned[:5]) + (", …" if len(packages.unpinned) > 5 else "")
        yield (
            f"requirements.txt names no fixed version of {shown}: the same commit may be built differently later. "
            "`uv pip compile requirements.in -o requirements.txt` fixes them."
        )
