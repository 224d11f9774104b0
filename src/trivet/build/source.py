"""Source: a revision of a repository becomes a commit, and the commit's tree a folder. The working tree is never used."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

from trivet.build.large_files import fill_in
from trivet.build.listing import Budget, Listing, read_listing
from trivet.build.repository import Repository, find_submodule, open_repository
from trivet.build.unpack import unpack
from trivet.errors import SourceError
from trivet.host.clock import timestamp
from trivet.host.git import Git
from trivet.model.frozen import frozen
from trivet.model.settings import Settings, invalid_setting
from trivet.model.source import CommitLine, Source
from trivet.model.text import encodable, plain

_LOG = ("--no-show-signature", "--encoding=UTF-8")
_LATEST_S = 253402300799  # the end of the year 9999, the last that ISO 8601 can say
_LONGEST_TEXT_BYTES = 1 << 20


@frozen
class Commit:
    """A source, where it is taken from, and when it was committed (seconds since the epoch).

    `up` is how many folders above the app's its source begins: an app may need what lies beside it.
    """

    source: Source
    repository: Repository
    committed_at: int
    up: int = 0

    @property
    def root(self) -> str:
        """The folder of the repository that is exported."""
        return "/".join(self._parts[: len(self._parts) - self.up])

    @property
    def folder(self) -> str:
        """The app's folder in what is exported, "" if that is all."""
        return "/".join(self._parts[len(self._parts) - self.up :])

    @property
    def _parts(self) -> tuple[str, ...]:
        return PurePosixPath(self.source.directory).parts

    def with_settings(self, settings: Settings) -> "Commit":
        """The commit as `[build] root` wants it exported. Raises: InvalidFile if that is outside the repository."""
        up = len(PurePosixPath(settings.build.root or "").parts)
        if up > len(self._parts):
            raise invalid_setting(
                self.read("trivet.toml") or "",
                ("build", "root"),
                f"root {settings.build.root!r} leads out of the repository, from {self.source.directory or 'its top'!r}.",
                "It names a folder of the repository that holds the app's and what that needs.",
            )
        return replace(self, up=up)

    def read(self, name: str) -> str | None:
        """The text of one of the app's files, None if there is none. Raises: SourceError if it is a huge one."""
        path = _join(self.source.directory, name)
        content = self.repository.objects.read(f"{self.source.commit}:{path}", _LONGEST_TEXT_BYTES + 1)
        if content is not None and len(content) > _LONGEST_TEXT_BYTES:
            raise SourceError(f"{name} is longer than a megabyte.", hint="Write a shorter one.")
        return None if content is None else content.decode(errors="replace")


def read_commit(repository: Path, revision: str, directory: str) -> Commit:
    """The commit that the revision names. Raises: SourceError, MachineError."""
    found = open_repository(repository)
    _refuse_shallow(found)
    name = found.git.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if name.status != 0:
        raise _no_commit(found.git, found.top, revision)
    shown = found.objects.ask("log", "-1", *_LOG, "--format=%H%x00%T%x00%at%x00%ct%x00%s%x00%an <%ae>", name.text)
    commit, tree, authored, committed, subject, author = shown.text.split("\0")
    source = Source(
        commit,
        tree,
        subject=plain(subject),
        author=plain(author).strip(),
        authored_at=timestamp(_seconds(authored)),
        directory=_inside(directory),
        repository=encodable(str(found.top)),
    )
    return Commit(source, found, _seconds(committed))


def export(commit: Commit, folder: Path) -> None:
    """The commit's files, with those of its submodules, are in the folder, which was empty or not there.

    Raises: SourceError for an empty tree, submodules that are not there, what leads out, and more than a source may hold.
    """
    source = commit.source
    whole = _Export(commit.repository, source.commit, commit.root, Budget()).write(folder)
    app = folder / commit.folder
    if not whole or not any(path.is_symlink() or not path.is_dir() for path in app.rglob("*")):
        raise _empty(source)


def has_uncommitted_changes(commit: Commit) -> bool:
    """Whether the working tree, if it is at this commit, holds more than the commit: changed or untracked files."""
    repository, source = commit.repository, commit.source
    if repository.work_tree is None:
        return False
    if repository.git.ask("rev-parse", "--verify", "--quiet", "HEAD").text != source.commit:
        return False
    return bool(repository.objects.changes(source.commit, repository.work_tree, source.directory))


def commits_between(repository: str | Path, old: str, new: str) -> tuple[tuple[CommitLine, ...], str]:
    """The commits that `new` has and `old` has not, newest first; if there are none to show, why.

    A build's record outlives its repository, so what cannot be found is a reason and no error.
    """
    if old == new:
        return (), "the same commit"
    folder = Path(repository)
    if not folder.is_dir():
        return (), f"the repository {repository} is gone"
    try:
        objects = open_repository(folder).objects
    except SourceError as error:
        return (), error.message
    for commit in (old, new):
        if not objects.has(commit):
            return (), f"the repository no longer has {commit[:8]}"
    answer = objects.ask("log", "-z", *_LOG, "--format=%H%x00%s%x00%an", f"{old}..{new}")
    fields = iter(answer.out.decode(errors="replace").split("\0"))
    entries = zip(fields, fields, fields, strict=False)  # the last NUL ends the last entry
    lines = tuple(CommitLine(commit, plain(subject), plain(author)) for commit, subject, author in entries)
    return lines, "" if lines else f"{new[:8]} is older than {old[:8]}"


@frozen
class _Export:
    """One tree on its way into a folder: that of a source, or of a submodule of it."""

    repository: Repository
    commit: str
    directory: str
    budget: Budget

    def write(self, folder: Path) -> bool:
        """The tree is in the folder. False if there is none of this name, or nothing in it."""
        folder.mkdir(parents=True, exist_ok=True)
        try:
            listing = self._list()
            if listing is None or not listing.has_files:
                return False
            with self.repository.objects.archive(self.commit, self.directory) as stream:
                pointers = unpack(stream, folder, self.directory)
        except ChildProcessError as error:
            raise _not_exported(self.commit, error) from error
        named = [(_join(self.directory, name), folder / name) for name in pointers]
        fill_in(self.repository, self.commit, named, self.budget)
        for path, pinned in listing.submodules:
            self._write_submodule(_join(self.directory, path), pinned, folder / path)
        return True

    def _list(self) -> Listing | None:
        objects, tree = self.repository.objects, f"{self.commit}:{self.directory}"
        if objects.ask("cat-file", "-t", tree).text != "tree":
            return None
        with objects.list_tree(tree) as stream:
            return read_listing(stream, self.budget)

    def _write_submodule(self, path: str, pinned: str, target: Path) -> None:
        if target.is_dir():  # else export-ignore keeps the submodule out
            found = find_submodule(self.repository, self.commit, path, pinned)
            _Export(found, pinned, "", self.budget).write(target)


def _not_exported(commit: str, error: ChildProcessError) -> SourceError:
    return SourceError(
        f"git cannot export the commit {commit[:8]}.",
        hint="`git fsck` tells what is wrong with the repository.",
        detail=tuple(str(error).splitlines()),
    )


def _refuse_shallow(repository: Repository) -> None:
    if repository.is_shallow:
        raise SourceError(
            f"{repository.top} is a shallow clone, which lacks part of the history.",
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
