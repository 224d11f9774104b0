"""Agreement: whether a lockfile says the same as the package.json files it was made from. No network is needed for that.

The package managers check it too, but their exit status is the same for a network that is down, and words are no interface.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trivet.build.node.manager import Kind, Manager
from trivet.build.node.package import DEVELOPMENT, PRODUCTION, Package
from trivet.build.node.text import read_yaml, strings
from trivet.errors import LockfileError
from trivet.model.build_plan import SourceTree

_KINDS = (*PRODUCTION, DEVELOPMENT)
_CLASSIC_ENTRY = re.compile(r"^(?P<keys>[^\s#].*):$", re.M)
_SHOWN = 3


def check_agreement(tree: SourceTree, manager: Manager, packages: Sequence[Package]) -> None:
    """The lockfile holds what the packages ask for. Raises: LockfileError, InvalidFile."""
    differing = list(_CHECKS[manager.kind](tree, manager, packages))
    if differing:
        shown = ", ".join(differing[:_SHOWN]) + (", …" if len(differing) > _SHOWN else "")
        raise LockfileError(
            f"{manager.lockfile} does not match package.json: {shown}.",
            hint=f"Run `{manager.mend}` and commit {manager.lockfile}.",
        )


def _npm(tree: SourceTree, manager: Manager, packages: Sequence[Package]) -> Iterator[str]:
    locked = json.loads(tree.read(manager.lockfile) or "{}").get("packages", {})
    for package in packages:
        entry = locked.get(package.folder)
        if not isinstance(entry, dict):
            yield f"{package.path} is not in it"
            continue
        yield from _differences(
            package, {name: spec for kind in _KINDS for name, spec in strings(entry.get(kind)).items()}
        )


def _pnpm(tree: SourceTree, manager: Manager, packages: Sequence[Package]) -> Iterator[str]:
    lock = read_yaml(tree, manager.lockfile)
    importers = lock.get("importers") or {".": lock}
    overridden = strings(lock.get("overrides"))
    linked = {path for package in packages for path in package.beside}
    for package in packages:
        entry = importers.get(package.folder or ".")
        if not isinstance(entry, dict):
            if package.folder not in linked:
                yield f"{package.path} is not in it"
            continue
        yield from _differences(package, _specifiers(entry), overridden)


def _specifiers(importer: Mapping[str, Any]) -> Mapping[str, str]:
    """What an importer of a pnpm-lock.yaml asks for: in 5 as `specifiers`, later beside each version."""
    found = dict(strings(importer.get("specifiers")))
    for kind in _KINDS:
        entries = importer.get(kind)
        for name, entry in (entries if isinstance(entries, dict) else {}).items():
            if isinstance(entry, dict):
                found[name] = str(entry.get("specifier"))
    return found


def _yarn_classic(tree: SourceTree, manager: Manager, packages: Sequence[Package]) -> Iterator[str]:
    lines = _CLASSIC_ENTRY.findall(tree.read(manager.lockfile) or "")
    yield from _missing({key.strip().strip('"') for line in lines for key in line.split(",")}, packages)


def _yarn(tree: SourceTree, manager: Manager, packages: Sequence[Package]) -> Iterator[str]:
    entries = [str(key) for key in read_yaml(tree, manager.lockfile)]
    yield from _missing({key.strip().replace("@npm:", "@") for entry in entries for key in entry.split(",")}, packages)


def _missing(locked: set[str], packages: Sequence[Package]) -> Iterator[str]:
    """What has no entry. Names that are resolved in another way have other entries, and workspaces may have none."""
    elsewhere = {re.sub(r"^.*/(?=[^@/]+$)|(?<=.)@.*", "", name) for name in packages[0].named("resolutions")}
    own = {package.data.get("name") for package in packages}
    for package in packages:
        for name, spec in package.dependencies(*_KINDS).items():
            plain = spec.removeprefix("npm:")
            if name in elsewhere or name in own or not re.match(r"[\d^~<>=*xv]|npm:", spec):
                continue
            if f"{name}@{plain}" not in locked and f"{name}@{spec}" not in locked:
                yield f"{name} {spec} of {package.path} is not in it"


def _differences(
    package: Package, locked: Mapping[str, str], overridden: Mapping[str, str] | None = None
) -> Iterator[str]:
    wanted = package.dependencies(*_KINDS)
    for name, spec in wanted.items():
        if name in (overridden or {}):
            continue
        if name not in locked:
            yield f"{name} {spec} of {package.path} is not in it"
        elif locked[name] != spec:
            yield f"{package.path} asks for {name} {spec}, it for {locked[name]}"
    yield from (f"{name} is not in {package.path} any more" for name in locked if name not in wanted)


_CHECKS = {Kind.NPM: _npm, Kind.PNPM: _pnpm, Kind.YARN_CLASSIC: _yarn_classic, Kind.YARN: _yarn}
