"""Packages: what an app's lockfile says is to be installed, whatever wrote it, and what of it is built from source."""

import re
from collections.abc import Iterable, Iterator

from trivet.errors import LockfileError
from trivet.model.build_plan import SourceTree
from trivet.model.frozen import frozen
from trivet.model.settings import EVERY, Settings, invalid_setting, suggestion


@frozen
class LocalPackage:
    """A package that lies in the source, in `folder` as seen from the app's ("" for the app itself).

    `requires` is what building it needs.
    """

    name: str
    folder: str
    requires: tuple[str, ...]


@frozen
class Archive:
    """A source distribution: one that the lockfile fixes. Without a `url` the index is asked for it.

    `hashes` are those that it may have, as "sha256:…" (none: the lockfile has none). `is_alone`: it is installed on every
    machine, and there is no wheel of it, so that nothing but building it is left.
    """

    name: str
    version: str
    url: str = ""
    hashes: tuple[str, ...] = ()
    is_alone: bool = False


@frozen
class Packages:
    """What is to be installed: normalised names, how many, those without a fixed version, and the files that say so.

    `requirements` are the lines of a requirements file that say the same as the lockfile, if uv cannot read that itself;
    `all_hashed`: every one of them has its hashes.
    """

    lockfile: str
    names: frozenset[str]
    files: tuple[str, ...]
    unpinned: tuple[str, ...] = ()
    local: tuple[LocalPackage, ...] = ()
    archives: tuple[Archive, ...] = ()
    requirements: str | None = None
    all_hashed: bool = False


def normalise(name: str) -> str:
    """The package's name as it is compared. https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()


def built_from_source(packages: Packages, tree: SourceTree, settings: Settings) -> tuple[Archive, ...]:
    """The source distributions that the app allows to be built.

    Raises: LockfileError for one that it needs and does not allow, InvalidFile for one that it allows and does not need.
    """
    allowed = settings.build.source_distributions
    if allowed == EVERY:
        return tuple(archive for archive in packages.archives if archive.is_alone)
    chosen = frozenset(map(normalise, allowed))
    known = {archive.name for archive in packages.archives}
    for name in sorted(chosen - known):
        raise _unknown(name, tree, sorted(known))
    refused = [archive for archive in packages.archives if archive.is_alone and archive.name not in chosen]
    if refused:
        raise _refused(refused, packages.lockfile, allowed)
    return tuple(archive for archive in packages.archives if archive.name in chosen)


def allowing(names: Iterable[str]) -> str:
    """The line of trivet.toml that allows these packages to be built from source."""
    listed = ", ".join(f'"{name}"' for name in names)
    return f"source_distributions = [{listed}]"


def _refused(refused: list[Archive], lockfile: str, allowed: tuple[str, ...]) -> LockfileError:
    shown = ", ".join(_described(refused))
    has = "has no wheel, and is" if len(refused) == 1 else "have no wheels, and are"
    line = allowing((*allowed, *(archive.name for archive in refused)))
    return LockfileError(
        f"{shown} of {lockfile} {has} only built from source, which runs code of the package, if the app says so.",
        hint=f"Add to trivet.toml, under [build]: {line}",
    )


def _described(archives: list[Archive]) -> Iterator[str]:
    for archive in archives:
        yield f"{archive.name} {archive.version}"


def _unknown(name: str, tree: SourceTree, known: list[str]) -> Exception:
    return invalid_setting(
        tree.read("trivet.toml") or "",
        ("build", "source_distributions"),
        f"the app installs no package {name!r} that could be built from source.",
        suggestion(name, known) if known else "Remove it from the list.",
    )
