"""Repository: where a clone keeps its objects and its submodules. What it says of itself is not trusted (`host.git`)."""

import os
import re
from pathlib import Path, PurePosixPath

from trivet.errors import SourceError
from trivet.host.git import Git, Objects, WorkTree
from trivet.model.frozen import frozen

_QUESTIONS = ("--is-bare-repository", "--is-shallow-repository", "--show-object-format", "--absolute-git-dir")
_PATHS = ("objects", "index", "info/exclude", "modules", "lfs")
_NAME = re.compile(r"submodule\.(?P<name>.+)\.path")


@frozen
class Repository:
    """A repository that was found. `git` is asked at its top; `work_tree` is None if it is bare.

    `modules` is where it keeps the repositories of its submodules, `large_files` what Git LFS has fetched.
    """

    git: Git
    objects: Objects
    work_tree: WorkTree | None
    modules: Path
    large_files: Path
    is_shallow: bool = False

    @property
    def top(self) -> Path:
        return self.git.folder


def find_repository(folder: Path) -> Path:
    """The top of the work tree around the folder, or the bare repository. Raises: SourceError, MachineError."""
    return open_repository(folder).top


def open_repository(folder: Path) -> Repository:
    """The repository around the folder. Raises: SourceError, MachineError."""
    if not folder.is_dir():
        raise SourceError(f"There is no folder {folder}.", hint="Name a folder of a git repository.")
    paths = tuple(part for name in _PATHS for part in ("--git-path", name))
    answer = Git(folder).ask("rev-parse", *_QUESTIONS, *paths, "--show-cdup")
    if answer.status != 0:
        raise _no_repository(folder, answer.err)
    lines = answer.out.decode(errors="surrogateescape").split("\n")
    bare, shallow, name_format, git_folder, objects, index, excludes, modules, large_files, *up = lines
    top = Path(git_folder) if bare == "true" else (folder / (up[0] or ".")).resolve()
    return Repository(
        Git(top),
        Objects((folder / objects).resolve(), name_format),
        None if bare == "true" else WorkTree(top, (folder / index).resolve(), (folder / excludes).resolve()),
        (folder / modules).resolve(),
        (folder / large_files).resolve(),
        is_shallow=shallow == "true",
    )


def find_submodule(repository: Repository, commit: str, path: str, pinned: str) -> Repository:
    """The repository of the submodule that the commit has at this path, with the commit that it asks for.

    It is one that the repository keeps, or the one in its working tree. Raises: SourceError if neither has the commit.
    """
    kept = _kept(repository, commit, path)
    if kept is not None and kept.objects.has(pinned):
        return kept
    checked_out = _checked_out(repository, path)
    if checked_out is not None and checked_out.objects.has(pinned):
        return checked_out
    raise SourceError(
        f"The submodule {path!r} is not in this clone at the commit that the source asks for ({pinned[:8]}).",
        hint="Fetch it with `git submodule update --init --recursive`, then run the command again.",
    )


def _kept(repository: Repository, commit: str, path: str) -> Repository | None:
    name = _submodule_name(repository, commit, path)
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise SourceError(
            f"The submodule {path!r} has the name {name!r}, which leads out of the repository.",
            hint="Give it another name in .gitmodules.",
        )
    folder = repository.modules / name
    if not folder.is_dir() or not folder.resolve().is_relative_to(repository.modules):
        return None
    objects = Objects(folder / "objects", repository.objects.format)
    return Repository(Git(folder), objects, None, folder / "modules", folder / "lfs")


def _checked_out(repository: Repository, path: str) -> Repository | None:
    if repository.work_tree is None or not (repository.top / path / ".git").exists():
        return None
    folder = (repository.top / path).resolve()
    return open_repository(folder) if folder.is_relative_to(repository.top.resolve()) else None


def _submodule_name(repository: Repository, commit: str, path: str) -> str:
    listed = repository.objects.ask(
        *("config", "-z", "--blob", f"{commit}:.gitmodules", "--get-regexp", r"^submodule\..*\.path$")
    )
    for entry in filter(None, listed.text.split("\0")):
        key, _, value = entry.partition("\n")
        if value == path and (match := _NAME.fullmatch(key)):
            return match["name"]
    return path


def _no_repository(folder: Path, err: str) -> SourceError:
    holder = next((place for place in (folder, *folder.absolute().parents) if (place / ".git").exists()), None)
    if holder is None:
        return SourceError(
            f"{folder} is not in a git repository.",
            hint="Change to the app's folder, or make it one with `git init` and `git commit`.",
        )
    if (holder / ".git").stat().st_uid != os.geteuid():
        return SourceError(
            f"The repository {holder} belongs to another user, so git refuses to read it.",
            hint=f"If you trust it: `git config --global --add safe.directory {holder}`.",
        )
    return SourceError(
        f"git cannot read the repository {holder}.",
        hint="`git status` in that folder tells what is wrong.",
        detail=tuple(err.strip().splitlines()),
    )
