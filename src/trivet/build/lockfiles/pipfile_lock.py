"""Pipfile.lock: https://github.com/pypa/pipfile (decision 0007). What decides that it fits its Pipfile is in `plette`."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from trivet.build.manifests import local_package, read_toml
from trivet.build.packages import Archive, LocalPackage, Packages, normalise
from trivet.errors import InvalidFile, LockfileError
from trivet.model.build_plan import SourceTree

NAME = "Pipfile.lock"

_AGAIN = "Run `pipenv lock` and commit Pipfile.lock."
_OWN_SECTIONS = ("source", "packages", "dev-packages", "requires", "scripts", "pipfile", "pipenv", "default", "develop")
_USUAL_SOURCE = {"name": "pypi", "url": "https://pypi.org/simple", "verify_ssl": True}

Entry = Mapping[str, Any]


def read(tree: SourceTree) -> Packages:
    """What the lockfile holds for the app. Raises: InvalidFile, LockfileError if it does not match its manifest."""
    lock = _read_json(tree)
    if tree.read("Pipfile") is None:
        raise LockfileError(
            "There is Pipfile.lock, but no Pipfile that it is made from.", hint="Commit the Pipfile too."
        )
    if lock.get("_meta", {}).get("hash", {}).get("sha256") != content_hash(read_toml(tree, "Pipfile")):
        raise LockfileError("Pipfile.lock does not match its manifest.", hint=_AGAIN)
    needed: Mapping[str, Entry] = lock.get("default", {})
    listed = {name: entry for name, entry in needed.items() if "path" not in entry}
    lines = [_line(name, entry) for name, entry in listed.items()]
    return Packages(
        lockfile=NAME,
        names=frozenset(map(normalise, listed)),
        files=(NAME, "Pipfile"),
        unpinned=tuple(name for name, entry in listed.items() if not _is_pinned(entry) and "markers" not in entry),
        local=tuple(_local(tree, needed)),
        archives=tuple(_archives(listed)),
        requirements="".join(f"{line}\n" for line in (*_indexes(lock), *lines)),
        all_hashed=all("--hash" in line for line in lines),
    )


def content_hash(pipfile: Mapping[str, Any]) -> str:
    """What Pipfile.lock says of the Pipfile that it was made from."""
    content = {
        "_meta": {"sources": pipfile.get("source", [_USUAL_SOURCE]), "requires": pipfile.get("requires", {})},
        "default": pipfile.get("packages", {}),
        "develop": pipfile.get("dev-packages", {}),
        **{name: values for name, values in pipfile.items() if name not in _OWN_SECTIONS},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _read_json(tree: SourceTree) -> dict[str, Any]:
    try:
        lock = json.loads(tree.read(NAME) or "")
    except ValueError as error:
        raise InvalidFile(f"{NAME} cannot be read: {error}.", hint=f"Mend it and commit it. {_AGAIN}") from error
    if not isinstance(lock, dict):
        raise InvalidFile(f"{NAME} cannot be read: it is no object.", hint=f"Mend it and commit it. {_AGAIN}")
    return lock


def _line(name: str, entry: Entry) -> str:
    if kind := next((kind for kind in ("git", "file", "hg", "svn") if kind in entry), None):
        raise LockfileError(
            f"Pipfile.lock takes {name} from {entry[kind]!r}, not from an index.",
            hint="Name a package of an index with its version, or put its code into a folder of the source.",
        )
    version = entry["version"] if _is_pinned(entry) else ""
    extras = f"[{','.join(entry['extras'])}]" if entry.get("extras") else ""
    marker = f" ; {entry['markers']}" if entry.get("markers") else ""
    return f"{name}{extras}{version}{marker}{''.join(f' --hash={digest}' for digest in entry.get('hashes', []))}"


def _is_pinned(entry: Entry) -> bool:
    return str(entry.get("version", "*")).startswith("==")


def _indexes(lock: Mapping[str, Any]) -> Iterator[str]:
    for number, source in enumerate(lock.get("_meta", {}).get("sources", [])):
        yield f"{'--extra-index-url' if number else '--index-url'} {source['url']}"


def _archives(listed: Mapping[str, Entry]) -> Iterator[Archive]:
    """All with a fixed version: only the index knows which of them have wheels."""
    for name, entry in listed.items():
        if _is_pinned(entry):
            yield Archive(normalise(name), entry["version"].lstrip("="), hashes=tuple(entry.get("hashes", [])))


def _local(tree: SourceTree, needed: Mapping[str, Entry]) -> Iterator[LocalPackage]:
    for name, entry in needed.items():
        if "path" in entry:
            folder = entry["path"].removeprefix("./")
            yield local_package(tree, "" if folder == "." else folder, name)
