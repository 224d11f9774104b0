"""Python: a venv from a lockfile, packages of the source, and the app beside them, all compiled to bytecode.

Fetching runs no code but uv's: wheels are unpacked, and what is only there as source is downloaded. Whatever has to be
built is built afterwards, without the network.

Measured in the build (research on stores): a read-only tree without bytecode imports four times slower, and only
unchecked-hash bytecode stays valid when times are not kept. `uv venv --relocatable` before `uv sync`, without installer
metadata and without absolute paths in bytecode, gives the same bytes in every folder.
"""

from collections.abc import Callable, Iterator, Mapping

from trivet.build.django import COLLECTING, collect_static, static_settings
from trivet.build.lockfiles import pipfile_lock, poetry_lock, requirements, uv_lock
from trivet.build.manifests import join, read_project
from trivet.build.packages import Archive, LocalPackage, Packages, allowing, built_from_source
from trivet.build.python_version import read_python_version
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
    use_vendored_python,
    vendored_python,
)
from trivet.build.wheels import PACKAGES, archive_steps, local_steps, tools_for
from trivet.errors import LockfileError
from trivet.model.build_plan import (
    COMPONENTS,
    PYTHON,
    SCRATCH,
    UV,
    BuildPlan,
    LayerPlan,
    Listing,
    NoDefault,
    Phase,
    SourceTree,
    Step,
    Tool,
)
from trivet.model.settings import Settings

NAME = "python"
LOOKED_FOR = "uv.lock, poetry.lock, Pipfile.lock, requirements.txt or pyproject.toml (Python)"

_READERS: Mapping[str, Callable[[SourceTree], Packages]] = {
    "uv.lock": uv_lock.read,
    "poetry.lock": poetry_lock.read,
    "Pipfile.lock": pipfile_lock.read,
    "requirements.txt": requirements.read,
}
_NUMBERS = {2: "two", 3: "three", 4: "four"}
_REQUIREMENTS = "requirements.txt"
_FROM_SOURCE = "built-from-source.txt"
_MANIFESTS = (*_READERS, "Pipfile", "pdm.lock", "setup.py", "setup.cfg")
_LOCKED_BY = {"Pipfile": "`pipenv lock` and commit Pipfile.lock", "poetry": "`poetry lock` and commit poetry.lock"}
_WITHOUT_WHEEL = "If a package has no wheel for this machine, add to trivet.toml, under [build]: {line}"


def recognise(tree: SourceTree) -> bool:
    """Whether the source says which Python packages it needs, in whatever way."""
    return any(name in tree.files for name in _MANIFESTS) or read_project(tree).is_python


def plan(tree: SourceTree, settings: Settings) -> BuildPlan:
    """A layer found by its lockfile, one of packages of the source, and one of the app.

    Raises: LockfileError, InvalidFile.
    """
    packages = _read_lockfile(tree, settings)
    archives = built_from_source(packages, tree, settings)
    static = static_settings(tree, packages, settings)
    web, no_default = _web(tree, packages)
    collect = (collect_static(settings),) if static else ()
    environment = _environment(packages)
    app = (*command_steps(settings, environment), *collect, compile_bytecode("app", quietly=False))
    return BuildPlan(
        builder=NAME,
        layers=(
            vendored_python(),
            _dependencies(packages, archives, settings),
            *_packages(packages, settings),
            LayerPlan("app", app, with_source=True),
        ),
        environment=environment,
        processes={"web": web} if web else {},
        tools=(*_tools(tree), *tools_for(archives)),
        notices=tuple(_notices(packages, archives, static)),
        no_default=no_default,
        listing=_list_components() if packages.lockfile == "uv.lock" else None,
    )


def _web(tree: SourceTree, packages: Packages) -> tuple[str | None, NoDefault | None]:
    if "Procfile" in tree.files:
        return None, None
    web = default_web(tree, packages)
    return web, None if web else explain_no_default(tree, packages)


def _environment(packages: Packages) -> Mapping[str, str]:
    if not packages.local:
        return PYTHON_ENVIRONMENT
    path = f"{PACKAGES}/bin:{PYTHON_ENVIRONMENT['PATH']}"
    return {**PYTHON_ENVIRONMENT, "PATH": path, "PYTHONPATH": PACKAGES}


def _read_lockfile(tree: SourceTree, settings: Settings) -> Packages:
    """What the one lockfile says: the app's own, or that of the uv workspace around it."""
    root = settings.build.root
    present = [name for name in _READERS if name in tree.files]
    if not present and root is not None and tree.read(f"{root}/uv.lock") is not None:
        return uv_lock.read(tree, root)
    packages = _READERS[_choose_lockfile(tree, present)](tree)
    for package in packages.local:
        if package.folder.startswith("..") and tree.read(join(package.folder, "pyproject.toml")) is None:
            raise _outside(package)
    return packages


def _outside(package: LocalPackage) -> LockfileError:
    up = "/".join(part for part in package.folder.split("/") if part == "..")
    return LockfileError(
        f"The package {package.name} is in {package.folder!r}, which is not part of the source.",
        hint=f'Add to trivet.toml, under [build]: root = "{up}"',
    )


def _choose_lockfile(tree: SourceTree, present: list[str]) -> str:
    if len(present) == 1:
        return present[0]
    if present:
        one, other = present[0], present[-1]
        raise LockfileError(
            f"There are {_NUMBERS[len(present)]} lockfiles, {' and '.join(present)}, so it is not clear what to install.",
            hint=f"Remove one from the commit: `git rm {other}` to install from {one}.",
        )
    raise _no_lockfile(tree)


def _no_lockfile(tree: SourceTree) -> LockfileError:
    pyproject = tree.read("pyproject.toml") or ""
    manifest = next((name for name in ("pyproject.toml", *_MANIFESTS) if name in tree.files), "pyproject.toml")
    if "pdm.lock" in tree.files:
        return LockfileError(
            "There is pdm.lock, which is not read.",
            hint="Write a requirements.txt with `pdm export --production -o requirements.txt`, or a uv.lock with `uv lock`; "
            "commit it.",
        )
    locked_by = _LOCKED_BY.get("poetry" if "[tool.poetry" in pyproject else manifest)
    if locked_by or "[project]" in pyproject:
        lockfile = (locked_by or "uv.lock").rpartition(" ")[2]
        above = ' If it is that of a workspace further up: `root = ".."` under [build] in trivet.toml.'
        return LockfileError(
            f"There is {manifest}, but no {lockfile} that says which versions to install.",
            hint=f"Run {locked_by or '`uv lock` and commit uv.lock'}.{above if 'workspace = true' in pyproject else ''}",
        )
    return LockfileError(
        f"There is {manifest}, but no uv.lock or requirements.txt that says which versions to install.",
        hint="Write the installed versions with `uv pip freeze > requirements.txt` (or `pip freeze`), and commit it.",
    )


def _dependencies(packages: Packages, archives: tuple[Archive, ...], settings: Settings) -> LayerPlan:
    install = _sync_steps if packages.lockfile == "uv.lock" else _pip_steps
    steps = (*install(packages, archives, settings), *archive_steps(archives, settings))
    if archives and packages.lockfile == "requirements.txt":
        steps = (*steps, _check_complete())
    compiled = compile_bytecode("dependencies/lib", quietly=True)
    return LayerPlan(
        "dependencies", (*steps, compiled, use_vendored_python()), _files(packages, archives), inputs=packages.files
    )


def _packages(packages: Packages, settings: Settings) -> tuple[LayerPlan, ...]:
    """Anything in the source may decide what its packages hold, so that layer is always made."""
    if not packages.local:
        return ()
    return (
        LayerPlan("packages", (*local_steps(packages.local, settings), compile_bytecode("packages", quietly=True))),
    )


def _sync_steps(packages: Packages, archives: tuple[Archive, ...], settings: Settings) -> tuple[Step, ...]:
    environment = {**declared(settings, Phase.FETCH), **UV_ENVIRONMENT}
    check = Step(
        "checking uv.lock against pyproject.toml",
        (UV, "lock", "--check", "--no-build", "--python", PYTHON),
        Phase.FETCH,
        environment=environment,
        hint="Run `uv lock` and commit uv.lock.",
        checks="uv.lock",
    )
    names = [*(one.name for one in packages.local), *(one.name for one in archives)]
    left_out = [argument for name in names for argument in ("--no-install-package", name)]
    sync = Step(
        f"fetching {_count(len(packages.names) - len(archives))} from uv.lock",
        (UV, "sync", "--locked", "--no-dev", "--no-editable", "--no-build", *left_out, "--python", PYTHON),
        Phase.FETCH,
        environment=environment,
        hint=f"uv's words say which package it is about. {_WITHOUT_WHEEL.format(line=allowing(['NAME']))}",
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


def _pip_steps(packages: Packages, archives: tuple[Archive, ...], settings: Settings) -> tuple[Step, ...]:
    environment = {**declared(settings, Phase.FETCH), **UV_ENVIRONMENT}
    hint = f"uv's words say which line of {packages.lockfile} it is about. {_WITHOUT_WHEEL.format(line=allowing(['NAME']))}"
    listed, resolve = _listed(packages)
    whole = ("--no-deps",) if packages.requirements is not None else ()
    hashes = ("--require-hashes",) if packages.all_hashed and not resolve else ()
    excludes = ("--excludes", f"{VENV}/{_FROM_SOURCE}") if archives else ()
    install = (*("pip", "install", "--no-build", "--python", f"{VENV}/bin/python"), *whole, *hashes, *excludes)
    title = f"fetching {_count(len(packages.names) - len(archives))} from {packages.lockfile}"
    return (
        make_venv(),
        *(
            Step(f"reading {packages.lockfile}", argv, Phase.FETCH, environment=environment, hint=hint)
            for argv in resolve
        ),
        Step(title, (UV, *install, "--requirement", listed), Phase.FETCH, environment=environment, hint=hint),
    )


def _listed(packages: Packages) -> tuple[str, tuple[tuple[str, ...], ...]]:
    """The requirements file to install from, and the commands that write it.

    One that names packages of the source is resolved first, from what their pyproject.toml say, and without them.
    """
    if packages.requirements is not None:
        return f"{VENV}/{_REQUIREMENTS}", ()
    if not packages.local:
        return packages.lockfile, ()
    left_out = [name for one in packages.local for name in ("--no-emit-package", one.name)]
    how = ("--quiet", "--no-build", "--no-header", "--no-annotate", "--python", PYTHON, *left_out)
    resolved = f"{SCRATCH}/{_REQUIREMENTS}"
    return resolved, ((UV, "pip", "compile", *how, packages.lockfile, "--output-file", resolved),)


def _check_complete() -> Step:
    return Step(
        "checking that the packages fit together",
        (UV, "pip", "check", "--no-config", "--python", f"{VENV}/bin/python"),
        directory=SCRATCH,
        environment={"UV_NO_CACHE": "1", "UV_OFFLINE": "1"},
        finding="The packages that requirements.txt lists do not fit together.",
        hint="What a package that is built from source needs has to be listed too.",
    )


def _files(packages: Packages, archives: tuple[Archive, ...]) -> Mapping[str, str]:
    """What uv reads that the source has not."""
    files = {} if packages.requirements is None else {_REQUIREMENTS: packages.requirements}
    return {**files, _FROM_SOURCE: "".join(f"{one.name}\n" for one in archives)} if archives else files


def _tools(tree: SourceTree) -> tuple[Tool, ...]:
    """uv heeds .python-version and requires-python, but in every folder upwards, so it is asked only if the app has one."""
    version, project = read_python_version(tree), read_project(tree)
    asking = [".python-version"] if ".python-version" in tree.files else []
    if project.is_python:
        asking.append("pyproject.toml")
    alone = () if asking else ("--no-config", "--no-project")
    change = f", or change what {' or '.join(asking)} asks for" if asking else ""
    hint = f"Install a Python that suits, for example with `uv python install`{change}."
    return python_tools(*alone, hint=hint, wanted=version or project.requires_python)


def _notices(packages: Packages, archives: tuple[Archive, ...], static: str | None) -> Iterator[str]:
    if packages.unpinned:
        shown = ", ".join(packages.unpinned[:5]) + (", …" if len(packages.unpinned) > 5 else "")
        mended = {"Pipfile.lock": "pipenv lock"}.get(
            packages.lockfile, "uv pip compile requirements.in -o requirements.txt"
        )
        yield (
            f"{packages.lockfile} names no fixed version of {shown}: the same commit may be built differently later. "
            f"`{mended}` fixes them."
        )
    if archives:
        yield f"Built from source, as trivet.toml allows: {', '.join(archive.name for archive in archives)}."
    if static:
        yield COLLECTING.format(file=static)


def _count(number: int) -> str:
    return f"{number} package{'' if number == 1 else 's'}"
