"""Manager: which package manager an app uses, told by its lockfile, in which version, told by packageManager."""

import json
import re
from enum import StrEnum

from trivet.build.node.package import Package
from trivet.errors import InvalidFile, LockfileError
from trivet.model.build_plan import SourceTree
from trivet.model.frozen import frozen

_LOCKFILES = ("package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock")
_OTHER_LOCKFILES = ("bun.lock", "bun.lockb", "deno.lock")
_PINNED = re.compile(r"(?P<name>[a-z]+)@(?P<version>\d+\.\d+\.\d+[\w.-]*)(?:\+.*)?")
_PNPM_BY_LOCKFILE = {"5": "7", "6": "8", "9": "10"}  # https://github.com/pnpm/spec/tree/master/lockfile
_OLDEST_LOCKFILE = 2


class Kind(StrEnum):
    """The package managers; yarn changed all it does from 1 to 2."""

    NPM = "npm"
    PNPM = "pnpm"
    YARN_CLASSIC = "yarn classic"
    YARN = "yarn"

    @property
    def command(self) -> str:
        return "yarn" if self is Kind.YARN_CLASSIC else self.value


@frozen
class Manager:
    """A package manager and its lockfile. `package` is what has it in the registry, None for npm, which node brings.

    `is_pinned`: the app says in which version.
    """

    kind: Kind
    lockfile: str
    package: str | None = None
    is_pinned: bool = True

    @property
    def mend(self) -> str:
        """The command that writes the lockfile anew."""
        return "npm install --package-lock-only" if self.kind is Kind.NPM else f"{self.kind.command} install"


def has_lockfile(tree: SourceTree) -> bool:
    """Whether there is a lockfile of any of them."""
    return any(name in tree.files for name in _LOCKFILES)


def choose_manager(tree: SourceTree, top: Package) -> Manager:
    """The one whose lockfile is committed. Raises: LockfileError, InvalidFile."""
    lockfile = _choose_lockfile(tree, top)
    text = tree.read(lockfile) or ""
    named, version = _read_pin(top)
    kind = _kind(lockfile, text)
    if named and named != kind.command:
        raise LockfileError(
            f"package.json asks for {named} (packageManager), but the lockfile is {lockfile}.",
            hint=f"Run `{named} install`, commit its lockfile and remove {lockfile}; or take packageManager out.",
        )
    return Manager(kind, lockfile, _package(kind, text, version), is_pinned=bool(version) or kind is Kind.NPM)


def _choose_lockfile(tree: SourceTree, top: Package) -> str:
    present = [name for name in _LOCKFILES if name in tree.files]
    if "npm-shrinkwrap.json" in present and "package-lock.json" in present:
        present.remove("package-lock.json")  # as npm does
    if len(present) == 1:
        return present[0]
    if present:
        raise LockfileError(
            f"There are several lockfiles, {' and '.join(present)}, so it is not clear what to install.",
            hint=f"Remove all but one from the commit, for example `git rm {present[-1]}`.",
        )
    other = next((name for name in _OTHER_LOCKFILES if name in tree.files), None)
    named = _read_pin(top)[0] or "npm"
    write = f"{named} install" if named in ("pnpm", "yarn") else "npm install --package-lock-only"
    why = f"There is {other}, which Trivet cannot install from, and" if other else "There is package.json, but"
    raise LockfileError(
        f"{why} no lockfile that says which versions to install.",
        hint=f"Run `{write}` and commit the lockfile it writes ({', '.join(_LOCKFILES)}).",
    )


def _kind(lockfile: str, text: str) -> Kind:
    if lockfile == "pnpm-lock.yaml":
        return Kind.PNPM
    if lockfile == "yarn.lock":
        return Kind.YARN if re.search(r"^__metadata:", text, re.M) else Kind.YARN_CLASSIC
    _refuse_old(lockfile, text)
    return Kind.NPM


def _refuse_old(lockfile: str, text: str) -> None:
    try:
        version = json.loads(text).get("lockfileVersion", 1)
    except (ValueError, AttributeError) as error:
        raise InvalidFile(
            f"{lockfile}:{getattr(error, 'lineno', 1)}: this cannot be read.",
            hint="Write it anew with `npm install --package-lock-only` and commit it.",
        ) from error
    if not isinstance(version, int) or version < _OLDEST_LOCKFILE:
        raise LockfileError(
            f"{lockfile} was written by npm 6 or older and does not hold all that must be known.",
            hint="Write it anew with `npm install --package-lock-only` of a newer npm, and commit it.",
        )


def _read_pin(top: Package) -> tuple[str, str]:
    """Name and version of packageManager, both "" if there is none. https://nodejs.org/api/packages.html#packagemanager"""
    text = top.data.get("packageManager", "")
    if not text:
        return "", ""
    match = _PINNED.fullmatch(str(text))
    if match is None or match["name"] not in ("npm", "pnpm", "yarn"):
        raise InvalidFile(
            f"package.json: packageManager is {text!r}, which is no package manager with its version.",
            hint='Write it like this: "packageManager": "pnpm@10.34.0" (npm, pnpm or yarn).',
        )
    return match["name"], match["version"]


def _package(kind: Kind, text: str, version: str) -> str | None:
    match kind:
        case Kind.NPM:
            return None
        case Kind.PNPM:
            found = re.search(r"^lockfileVersion:\s*['\"]?(\d+)", text, re.M)
            return f"pnpm@{version or _PNPM_BY_LOCKFILE.get(found[1] if found else '', '10')}"
        case Kind.YARN_CLASSIC:
            return f"yarn@{version or '1'}"
        case Kind.YARN:
            return f"@yarnpkg/cli-dist@{version or '4'}"
