"""A Go module as its files tell: the programs in it, the Go it asks for, and whether its packages are in the commit."""

import re
from collections.abc import Iterator

from trivet.errors import DetectionError
from trivet.model.build_plan import SourceTree
from trivet.model.frozen import frozen
from trivet.model.settings import Settings, invalid_setting, suggestion

_IGNORED = re.compile(r"^//\s*(?:go:build|\+build)\s+ignore\b", re.M)
_MAIN = re.compile(r"^package\s+main\b", re.M)
_VERSION_SUFFIX = re.compile(r"/v\d+$")


@frozen
class GoModule:
    """`folders` are those of the programs: "." for the top, else like "cmd/web"."""

    path: str
    go_version: str
    folders: tuple[str, ...]
    needs_sums: bool
    has_sums: bool
    is_vendored: bool
    has_workspace: bool

    @property
    def packages(self) -> tuple[str, ...]:
        """The programs as go's commands name them."""
        return tuple(folder if folder == "." else f"./{folder}" for folder in self.folders)

    @property
    def programs(self) -> tuple[str, ...]:
        """The names of the binaries, as go chooses them. https://pkg.go.dev/cmd/go#hdr-Compile_packages_and_dependencies"""
        top = _VERSION_SUFFIX.sub("", self.path).rpartition("/")[2]
        return tuple(top if folder == "." else folder.rpartition("/")[2] for folder in self.folders)

    @property
    def flags(self) -> str:
        return f"-mod={'vendor' if self.is_vendored else 'readonly'} -modcacherw"


def read_module(tree: SourceTree, settings: Settings) -> GoModule:
    """The module, with the programs that trivet.toml names, else all. Raises: DetectionError, InvalidFile."""
    text = re.sub(r"//.*", "", tree.read("go.mod") or "")
    path = re.search(r'^\s*module\s+"?([^\s"]+)', text, re.M)
    version = re.search(r"^\s*go\s+(\S+)", text, re.M)
    folders = _programs(tree)
    return GoModule(
        path=path[1] if path else "app",
        go_version=version[1] if version else "",
        folders=_chosen(tree, settings, folders) if settings.build.programs else _all(folders),
        needs_sums=bool(re.search(r"^\s*require\b", text, re.M)),
        has_sums="go.sum" in tree.files,
        is_vendored="vendor/modules.txt" in tree.files,
        has_workspace="go.work" in tree.files,
    )


def _programs(tree: SourceTree) -> tuple[str, ...]:
    """The folders with a package main, wherever they are; those that a build takes by itself come first."""
    found = dict.fromkeys(_folder(path) for path in _main_files(tree))
    return tuple(sorted(found, key=lambda folder: (not _is_usual(folder), folder)))


def _main_files(tree: SourceTree) -> Iterator[str]:
    for path in tree.files:
        parts = path.split("/")
        # https://pkg.go.dev/cmd/go#hdr-Package_lists_and_patterns
        hidden = any(part in ("vendor", "testdata") or part.startswith((".", "_")) for part in parts)
        if path.endswith(".go") and not path.endswith("_test.go") and not hidden:
            text = tree.read(path) or ""
            if _MAIN.search(text) and not _IGNORED.search(text):
                yield path


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "."


def _is_usual(folder: str) -> bool:
    return folder == "." or re.fullmatch("cmd/[^/]+", folder) is not None


def _all(folders: tuple[str, ...]) -> tuple[str, ...]:
    usual = tuple(folder for folder in folders if _is_usual(folder))
    if usual:
        return usual
    where, example = (f"There is one in {folders[0]}:", folders[0]) if folders else ("Or", "tools/server")
    raise DetectionError(
        "There is go.mod, but no program: no `package main` at the top or in a folder of cmd/.",
        hint=f"Put the server into cmd/web/main.go. {where} name it in trivet.toml, [build], "
        f'as `programs = ["{example}"]`.',
    )


def _chosen(tree: SourceTree, settings: Settings, folders: tuple[str, ...]) -> tuple[str, ...]:
    chosen = tuple(name.removeprefix("./").rstrip("/") or "." for name in settings.build.programs)
    for name in chosen:
        if name not in folders:
            raise invalid_setting(
                tree.read("trivet.toml") or "",
                ("build", "programs"),
                f"there is no Go program in the folder {name!r}.",
                suggestion(name, folders),
            )
    return chosen
