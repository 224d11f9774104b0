"""requirements.txt: https://pip.pypa.io/en/stable/reference/requirements-file-format/"""

import posixpath
import re
from collections.abc import Iterator

from trivet.build.manifests import local_package, read_project, within
from trivet.build.packages import Archive, LocalPackage, Packages, normalise
from trivet.errors import InvalidFile, LockfileError
from trivet.model.build_plan import SourceTree

NAME = "requirements.txt"

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_INCLUDE = re.compile(r"(?:-r|-c|--requirement|--constraint)[ =]*(?P<path>\S+)")
_CONSTRAINT = re.compile(r"(?:-c|--constraint)")
_EDITABLE = re.compile(r"(?:-e|--editable)[ =]*(?P<path>\S+)")
_PINNED = re.compile(r"={2,3}\s*[^*,;\s]+\s*(?:;|--|$)|@\s*\S+(?:\.whl|\.tar\.gz|\.zip|@[0-9a-f]{40})")
_EXACT = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*={2,3}\s*(?P<version>[^*,;\s]+)")
_HASH = re.compile(r"--hash[ =](sha256:[0-9a-f]{64})")


def read(tree: SourceTree, path: str = NAME) -> Packages:
    """What a requirements file asks for, those it includes as well. Raises: InvalidFile, LockfileError."""
    files = _files(tree, path)
    lines = [line for file in files if not files[file] for line in _lines(tree.read(file) or "")]
    limits = [line for file in files if files[file] for line in _lines(tree.read(file) or "")]
    asked = [line for line in lines if not line.startswith("-") and not _is_local(line)]
    present = tuple(name for name in ("pyproject.toml", "uv.toml") if tree.read(name) is not None)
    names = [match[0] for line in asked if (match := _NAME.match(line))]
    return Packages(
        lockfile=path,
        names=frozenset(map(normalise, names)),
        files=(*files, *present),
        unpinned=tuple(match[0] for line in asked if (match := _NAME.match(line)) and not _PINNED.search(line)),
        local=tuple(_local(tree, files)),
        archives=tuple(_archives(asked)),
        all_hashed=bool(asked) and all("--hash" in line for line in (*asked, *limits)),
    )


def _archives(lines: list[str]) -> Iterator[Archive]:
    """All with a fixed version: only the index knows which of them have wheels."""
    for line in lines:
        if match := _EXACT.match(line):
            yield Archive(normalise(match["name"]), match["version"], hashes=tuple(_HASH.findall(line)))


def _local(tree: SourceTree, files: dict[str, bool]) -> Iterator[LocalPackage]:
    for file in files:
        for line in _lines(tree.read(file) or ""):
            editable = _EDITABLE.match(line)
            if editable or (not line.startswith("-") and _is_local(line)):
                # Relative to the folder that the installer runs in, which is the app's, whatever file it stands in.
                folder = re.sub(
                    r"^(?:\S+\s*@\s*)?(?:file:(?://)?)?|\[[^]]*\]$", "", editable["path"] if editable else line
                )
                yield _package_in(tree, within(folder.split(";")[0].strip()), file)


def _package_in(tree: SourceTree, folder: str, file: str) -> LocalPackage:
    if folder.startswith(("git+", "http", "/")) or folder.endswith((".whl", ".gz", ".zip")):
        raise InvalidFile(
            f"{file} asks for {folder!r}, which is neither a package of an index nor a folder of the source.",
            hint="Name a package with its version, or put its code into a folder of the source.",
        )
    name = read_project(tree, folder).name
    if name is None:
        raise LockfileError(
            f"{file} asks for the package in {folder or '.'!r}, and there is no pyproject.toml with its name.",
            hint="Give it a pyproject.toml with [project] name, version and dependencies.",
        )
    return local_package(tree, folder, name)


def _is_local(line: str) -> bool:
    return _NAME.match(line) is None or "file:" in line or "/" in line.split("@")[0].split(";")[0]


def _files(tree: SourceTree, path: str) -> dict[str, bool]:
    """The file and all that it includes; True for those that only constrain."""
    seen: dict[str, bool] = {}
    waiting = [(path, False)]
    while waiting:
        current, constrains = waiting.pop()
        text = tree.read(current)
        if current in seen or text is None:
            continue
        seen[current] = constrains
        for line in _lines(text):
            if match := _INCLUDE.match(line):
                included = posixpath.normpath(posixpath.join(posixpath.dirname(current), match["path"]))
                waiting.append((included, constrains or bool(_CONSTRAINT.match(line))))
    return seen


def _lines(text: str) -> Iterator[str]:
    for raw in re.sub(r"\\\r?\n", " ", text.removeprefix("\ufeff")).splitlines():
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        if line:
            yield line
