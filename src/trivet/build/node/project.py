"""Project: all that decides an app's dependencies, read from its source and checked."""

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from trivet.build.node.agreement import check_agreement
from trivet.build.node.install_scripts import read_allowed, with_install_scripts
from trivet.build.node.manager import Kind, Manager, choose_manager, has_lockfile
from trivet.build.node.npmrc import keep_pnpm, read_settings
from trivet.build.node.package import DEVELOPMENT, FILE, PRODUCTION, WORKSPACE_FILE, Package, read_packages
from trivet.build.node.text import write_yaml
from trivet.build.node.version import read_version
from trivet.errors import DetectionError, LockfileError
from trivet.model.build_plan import SourceTree
from trivet.model.frozen import frozen

_KEPT_FIELDS = (
    *("name", "version", "private", "workspaces", *PRODUCTION, DEVELOPMENT, "peerDependencies", "peerDependenciesMeta"),
    *("dependenciesMeta", "bundleDependencies", "bundledDependencies", "overrides", "resolutions", "allowScripts"),
    *("bin", "os", "cpu", "libc"),
)
_FROM_GIT = re.compile(
    r"""(?:git\+[a-z]+|git|ssh)://[^\s"',}]+|(?<=repo: )[^\s,}]+|\bgit@[\w.-]+:[^\s"',}]+|https?://\S+\.git#\S+"""
)
_PNPMFILES = (".pnpmfile.cjs", ".pnpmfile.mjs", "pnpmfile.js")


@frozen
class Project:
    """`files` are what the package manager is given, by path, `copied` the paths of the source that it needs as they are.

    `programs` are the files of the source that its own packages name as programs. `allowed` are the dependencies whose
    install scripts the app wants to be run, `node` and `node_by` the range of versions of node that suit and where it
    says so. `above` is the way from the app's folder up to the project's, "" if they are one.
    """

    packages: tuple[Package, ...]
    manager: Manager
    files: Mapping[str, str]
    copied: tuple[str, ...]
    programs: tuple[str, ...]
    allowed: tuple[str, ...]
    node: str
    node_by: str
    notices: tuple[str, ...]
    above: str = ""

    @property
    def top(self) -> Package:
        return self.packages[0]

    @property
    def module_folders(self) -> tuple[str, ...]:
        """Where packages may be installed, from the top."""
        return tuple(posixpath.join(package.folder, "node_modules") for package in self.packages)

    @property
    def has_development(self) -> bool:
        """Whether some dependencies are for development only."""
        return any(package.named(DEVELOPMENT) for package in self.packages)


def read_project(tree: SourceTree) -> Project:
    """The app's project, or the one at the top of the source that it is a workspace of, if that alone has a lockfile.

    Raises: LockfileError, DetectionError, InvalidFile.
    """
    if tree.above and not has_lockfile(tree) and has_lockfile(tree.top):
        return replace(_read(tree.top), above=tree.above)
    return _read(tree)


def _read(tree: SourceTree) -> Project:
    _refuse_modules(tree)
    packages = read_packages(tree)
    manager = choose_manager(tree, packages[0])
    _refuse_git(tree, manager)
    check_agreement(tree, manager, packages)
    heeded = read_settings(tree, manager.kind)
    allowed = read_allowed(tree, packages[0])
    node, node_by = read_version(tree, packages[0])
    return Project(
        packages=packages,
        manager=manager,
        files={**dict(_files(tree, manager, packages)), **_with_workspace(manager, heeded.files)},
        copied=tuple(_copied(tree, manager, packages)),
        programs=tuple(path for package in packages for path in _programs(package) if path in tree.files),
        allowed=allowed,
        node=node,
        node_by=node_by,
        notices=tuple(_notices(tree, manager, heeded.left_out, allowed)),
    )


def _refuse_modules(tree: SourceTree) -> None:
    if found := next((path for path in tree.files if path.split("/")[0] == "node_modules"), None):
        raise DetectionError(
            f"The commit holds the folder node_modules ({found}); a build installs it from the lockfile.",
            hint="Take it out with `git rm -r --cached node_modules`, add it to .gitignore, and commit.",
        )


def _refuse_git(tree: SourceTree, manager: Manager) -> None:
    """To fetch such a package its code is run: https://github.com/npm/cli/issues/8881 is one of several ways."""
    if found := _FROM_GIT.search(tree.read(manager.lockfile) or ""):
        raise LockfileError(
            f"{manager.lockfile} has a package from a git repository: {found[0]}. "
            f"{manager.kind.command} would run the code of that repository while the network is open.",
            hint="Depend on a published version, or on an archive: https://github.com/OWNER/NAME/archive/COMMIT.tar.gz",
        )


def _files(tree: SourceTree, manager: Manager, packages: tuple[Package, ...]) -> Iterator[tuple[str, str]]:
    """The package.json files without what does not decide dependencies: scripts above all, which nothing is to run."""
    packed = _packed(manager, packages)
    for package in packages:
        if package.folder in packed:
            continue
        yield package.path, json.dumps(_kept(package), indent=1) + "\n"
        for program in _programs(package):
            yield program, ""
    text = tree.read(manager.lockfile) or ""
    yield manager.lockfile, re.sub(r"^pnpmfileChecksum:.*\n\n?", "", text, flags=re.M)
    for path in tree.files:
        if path.endswith(".patch") and manager.kind in (Kind.PNPM, Kind.YARN):
            yield path, tree.read(path) or ""


def _kept(package: Package) -> Mapping[str, object]:
    """What of a package.json is given to the package manager."""
    kept = {name: package.data[name] for name in _KEPT_FIELDS if name in package.data}
    if not package.folder:
        kept.pop("version", None)
        kept.pop("bin", None)
    if isinstance(pnpm := package.data.get("pnpm"), dict):
        kept["pnpm"] = keep_pnpm(pnpm)
    return kept


def _packed(manager: Manager, packages: tuple[Package, ...]) -> frozenset[str]:
    """The folders of the source whose packages are copied where they are installed: npm makes links to them instead."""
    if manager.kind is Kind.NPM:
        return frozenset()
    return frozenset(path for package in packages for path in package.beside)


def _programs(package: Package) -> Iterator[str]:
    """The files that a workspace's own programs are in: links to them are made only if they are there."""
    declared = package.data.get("bin")
    for path in declared.values() if isinstance(declared, dict) else (declared,):
        if package.folder and isinstance(path, str):
            found = posixpath.normpath(posixpath.join(package.folder, path))
            if found.startswith(f"{package.folder}/") and not found.endswith(f"/{FILE}"):
                yield found


def _with_workspace(manager: Manager, settings: Mapping[str, str]) -> Mapping[str, str]:
    """pnpm looks for a workspace in every folder upwards: here it stops."""
    if manager.kind is Kind.PNPM and WORKSPACE_FILE not in settings:
        return {**settings, WORKSPACE_FILE: write_yaml({"packages": ["."]})}
    return settings


def _copied(tree: SourceTree, manager: Manager, packages: tuple[Package, ...]) -> Iterator[str]:
    """Archives, and the folders that are packed instead of linked to."""
    wanted = {path for package in packages for path in package.beside}
    packed = _packed(manager, packages)
    for path in tree.files:
        if path in wanted or any(path.startswith(f"{folder}/") for folder in packed):
            yield path


def _notices(tree: SourceTree, manager: Manager, left_out: tuple[str, ...], allowed: tuple[str, ...]) -> Iterator[str]:
    if left_out:
        yield f"Not heeded while dependencies are installed, since it could run programs: {', '.join(left_out)}."
    if pnpmfile := next((name for name in _PNPMFILES if name in tree.files), None):
        yield f"{pnpmfile} is not run: dependencies are installed as {manager.lockfile} says."
    if not manager.is_pinned:
        yield (
            f"{manager.package} installs the dependencies, in its newest version: packageManager in package.json "
            "fixes it, and with it what the same commit is built into later."
        )
    if waiting := [name for name in with_install_scripts(tree, manager) if name not in allowed]:
        example = json.dumps({"allowScripts": {waiting[0]: True}})[1:-1]
        yield (
            f"Not run, since package.json does not allow it: the install scripts of {', '.join(waiting)}. "
            f"If the app needs one: {example}"
        )
