"""Source: a revision of a repository becomes a commit, and the commit's tree a folder. The working tree is never used."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from trivet.build.request import CommitLine
from trivet.build.unpack import unpack
from trivet.errors import SourceError
from trivet.host.clock import timestamp
from trivet.host.git import Git
from trivet.model.source import Source
from trivet.model.text import encodable, plain

_GITLINK = "160000"
_NAME = re.compile(r"submodule\.(?P<name>.+)\.path")
_LOG = ("--no-show-signature", "--encoding=UTF-8")
_LATEST_S = 253402300799  # the end of the year 9999, the last that ISO 8601 can say


@dataclass(frozen=True, slots=True)
class Commit:
    """A source, where it is taken from, and when it was committed (seconds since the epoch)."""

    source: Source
    git: Git
    committed_at: int

    def read(self, name: str) -> str | None:
        """The text of one of the app's files, None if there is none."""
        answer = self.git.ask("cat-file", "blob", f"{self.source.commit}:{_join(self.source.directory, name)}")
        return answer.out.decode(errors="replace") if answer.status == 0 else None


def find_repository(folder: Path) -> Path:
    """The top of the work tree around the folder, or the bare repository. Raises: SourceError, MachineError."""
    if not folder.is_dir():
        raise SourceError(f"There is no folder {folder}.", hint="Name a folder of a git repository.")
    answer = Git(folder).ask("rev-parse", "--is-bare-repository", "--absolute-git-dir", "--show-cdup")
    if answer.status != 0:
        raise _no_repository(folder, answer.err)
    bare, git_folder, *up = answer.out.decode(errors="surrogateescape").split("\n")
    if bare == "true":
        return Path(git_folder)
    return (folder / (up[0] or ".")).resolve()


def read_commit(repository: Path, revision: str, directory: str) -> Commit:
    """The commit that the revision names. Raises: SourceError, MachineError."""
    top = find_repository(repository)
    git = Git(top)
    _refuse_shallow(git, top)
    name = git.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if name.status != 0:
        raise _no_commit(git, top, revision)
    shown = git.ask("log", "-1", *_LOG, "--format=%H%x00%T%x00%at%x00%ct%x00%s%x00%an <%ae>", name.text)
    commit, tree, authored, committed, subject, author = shown.text.split("\0")
    source = Source(
        commit,
        tree,
        subject=plain(subject),
        author=plain(author).strip(),
        authored_at=timestamp(_seconds(authored)),
        directory=_inside(directory),
        repository=encodable(str(top)),
    )
    return Commit(source, git, _seconds(committed))


def export(commit: Commit, folder: Path) -> None:
    """The commit's files, with those of its submodules, are in the folder, which was empty or not there.

    Raises: SourceError for an empty tree, submodules that are not there, and links that lead out.
    """
    _export_tree(commit.git, commit.source.commit, commit.source.directory, folder)
    if not any(path.is_symlink() or not path.is_dir() for path in folder.rglob("*")):
        raise _empty(commit.source)


def has_uncommitted_changes(commit: Commit) -> bool:
    """Whether the working tree, if it is at this commit, holds more than the commit: changed or untracked files."""
    git, source = commit.git, commit.source
    if git.ask("rev-parse", "--verify", "--quiet", "HEAD").text != source.commit:
        return False
    chosen = (source.directory,) if source.directory else ()
    answer = git.ask("status", "--porcelain", "--untracked-files=normal", "--", *chosen)
    return answer.status == 0 and bool(answer.out)


def commits_between(repository: str | Path, old: str, new: str) -> tuple[tuple[CommitLine, ...], str]:
    """The commits that `new` has and `old` has not, newest first; if there are none to show, why.

    A build's record outlives its repository, so what cannot be found is a reason and no error.
    """
    if old == new:
        return (), "the same commit"
    folder = Path(repository)
    if not folder.is_dir():
        return (), f"the repository {repository} is gone"
    git = Git(folder)
    for commit in (old, new):
        if git.ask("cat-file", "-e", f"{commit}^{{commit}}").status != 0:
            return (), f"the repository no longer has {commit[:8]}"
    answer = git.ask("log", "-z", *_LOG, "--format=%H%x00%s%x00%an", f"{old}..{new}")
    fields = iter(answer.out.decode(errors="replace").split("\0"))
    entries = zip(fields, fields, fields, strict=False)  # the last NUL ends the last entry
    lines = tuple(CommitLine(commit, plain(subject), plain(author)) for commit, subject, author in entries)
    return lines, "" if lines else f"{new[:8]} is older than {old[:8]}"


def _export_tree(git: Git, commit: str, directory: str, folder: Path) -> None:
    """The tree is in the folder, which is left empty if there is no such tree."""
    folder.mkdir(parents=True, exist_ok=True)
    if git.ask("ls-tree", "--name-only", f"{commit}:{directory}").text == "":
        return
    try:
        with git.archive(commit, directory) as stream:
            unpack(stream, folder, directory)
    except ChildProcessError as error:
        raise SourceError(
            f"git cannot export the commit {commit[:8]}.",
            hint="`git fsck` tells what is wrong with the repository.",
            detail=tuple(str(error).splitlines()),
        ) from error
    for path, pinned in _gitlinks(git, commit, directory):
        target = folder / (PurePosixPath(path).relative_to(directory) if directory else path)
        if target.is_dir():  # else export-ignore keeps the submodule out
            _export_tree(_submodule(git, commit, path, pinned), pinned, "", target)


def _gitlinks(git: Git, commit: str, directory: str) -> Iterator[tuple[str, str]]:
    """Path and commit of every submodule."""
    chosen = (f"{directory}/",) if directory else ()
    listed = git.ask("ls-tree", "-r", "-z", commit, "--", *chosen).out.decode(errors="surrogateescape")
    for entry in filter(None, listed.split("\0")):
        facts, _, path = entry.partition("\t")
        mode, _, name = facts.split(" ")
        if mode == _GITLINK:
            yield path, name


def _submodule(git: Git, commit: str, path: str, pinned: str) -> Git:
    """Where the submodule's commit is kept: in the repository's own store, or in the work tree of the submodule."""
    own = git.folder / git.ask("rev-parse", "--git-common-dir").text
    candidates = [Git(own / "modules" / _submodule_name(git, commit, path), is_store=True)]
    if not git.is_store and (git.folder / path / ".git").exists():
        candidates.append(Git(git.folder / path))
    for candidate in candidates:
        if candidate.folder.is_dir() and candidate.ask("cat-file", "-e", f"{pinned}^{{commit}}").status == 0:
            return candidate
    raise SourceError(
        f"The submodule {path!r} is not in this clone at the commit that the source asks for ({pinned[:8]}).",
        hint="Fetch it with `git submodule update --init --recursive`, then run the command again.",
    )


def _submodule_name(git: Git, commit: str, path: str) -> str:
    listed = git.ask("config", "-z", "--blob", f"{commit}:.gitmodules", "--get-regexp", r"^submodule\..*\.path$")
    for entry in filter(None, listed.text.split("\0")):
        key, _, value = entry.partition("\n")
        if value == path and (match := _NAME.fullmatch(key)):
            return match["name"]
    return path


def _refuse_shallow(git: Git, top: Path) -> None:
    if git.ask("rev-parse", "--is-shallow-repository").text == "true":
        raise SourceError(
            f"{top} is a shallow clone, which lacks part of the history.",
            hint="Fetch the rest with `git fetch --unshallow`, then run the command again.",
        )


def _no_commit(git: Git, top: Path, revision: str) -> SourceError:
    if git.ask("rev-list", "--all", "--max-count=1").text == "":
        return SourceError(
            f"{top} has no commit yet.", hint="Trivet builds commits: `git add` your files and `git commit` them."
        )
    return SourceError(
        f"{revision!r} is not a revision of {top}.",
        hint="Name a branch, a tag or a commit. `git log --oneline --all` lists commits; `git fetch` gets new ones.",
    )


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


def _empty(source: Source) -> SourceError:
    if source.directory:
        return SourceError(
            f"The commit {source.short} has no files in {source.directory!r}.",
            hint=f"`git ls-tree -r --name-only {source.short}` lists its files. Choose the app's folder with --dir.",
        )
    return SourceError(
        f"The commit {source.short} has no files.", hint="Add the app's files with `git add` and `git commit` them."
    )


def _seconds(text: str) -> int:
    """A time that git gave, in seconds since the epoch; 0 for one that a broken tool wrote and git cannot read."""
    return min(int(text), _LATEST_S) if text.isdecimal() else 0


def _inside(directory: str) -> str:
    path = PurePosixPath(directory)
    if encodable(directory) != directory:
        raise SourceError(f"The folder name {directory!r} is not UTF-8.", hint="Rename the folder in the repository.")
    if path.is_absolute() or ".." in path.parts:
        raise SourceError(
            f"{directory!r} is not a folder of the repository.", hint="Name it from the repository's top."
        )
    return "" if path == PurePosixPath() else path.as_posix()


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name
