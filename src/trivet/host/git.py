"""git, asked so that nothing of a repository is run: no hook, filter, monitor, transport or program that it names.

A repository may be anybody's, and git runs what its `config` says. So it is asked for as little as can be (`Git`: where
it keeps things, what a revision means), with every transport forbidden; all else comes out of its objects alone
(`Objects`), read through a repository of ours that is empty: there git finds neither settings nor hooks nor refs.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from trivet.host.command import Answer, Command, capture, piped
from trivet.model.frozen import frozen

_DEADLINE_S = 600.0
_KEPT = ("HOME", "XDG_CONFIG_HOME", "SUDO_UID")  # where the user says which repositories of others are safe
_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.autocrlf": "false",
    "core.eol": "lf",
    "core.quotePath": "false",
    "core.commitGraph": "false",  # beside the objects lie indices of them, which may say anything
    "core.multiPackIndex": "false",
    "gpg.program": "false",  # export-subst may ask whether a signature is good: no program is to answer
    "gpg.ssh.program": "false",
    "gpg.x509.program": "false",
    "log.showSignature": "false",
    "tar.umask": "0022",
}
_EMPTY = Path(__file__).parent / "no_repository"


@frozen
class Git:
    """git in the repository around a folder. Its settings are read, so it is asked what runs none of them."""

    folder: Path

    def ask(self, *arguments: str) -> Answer:
        """What git answers. Raises: MachineError if there is no git."""
        return capture(_command(arguments, self.folder, {}))


@frozen
class Objects:
    """The objects of a repository, kept in `folder`, and nothing else of it; `format` is that of their names."""

    folder: Path
    format: str = "sha1"

    def ask(self, *arguments: str) -> Answer:
        """What git answers. Raises: MachineError if there is no git."""
        return capture(self._command(arguments))

    def has(self, commit: str) -> bool:
        """Whether the commit is among them."""
        return self.ask("cat-file", "-e", f"{commit}^{{commit}}").status == 0

    def read(self, name: str, most_bytes: int) -> bytes | None:
        """The first bytes of a blob, `most_bytes` at most; None if there is none by this name."""
        try:
            with piped(self._command(("cat-file", "blob", name))) as stream:
                return stream.read(most_bytes)
        except ChildProcessError:
            return None

    @contextmanager
    def list_tree(self, tree: str, *chosen: str) -> Iterator[IO[bytes]]:
        """Every entry of the tree, also those below: `mode SP type SP name SP size TAB path NUL`.

        Raises: ChildProcessError with git's words.
        """
        with piped(self._command(("ls-tree", "-r", "-t", "-z", "--long", tree, "--", *chosen))) as stream:
            yield stream

    @contextmanager
    def archive(self, commit: str, directory: str) -> Iterator[IO[bytes]]:
        """The commit's files as a tar stream, export-ignore and export-subst respected; `directory` "" is all of it.

        Raises: ChildProcessError with git's words.
        """
        chosen = (directory,) if directory else ()
        with piped(self._command(("archive", "--format=tar", commit, "--", *chosen))) as stream:
            yield stream

    def with_attribute(self, commit: str, attribute: str, paths: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the paths for which the commit's .gitattributes have this `name=value`."""
        name, _, value = attribute.partition("=")
        with tempfile.TemporaryDirectory() as folder:
            own = {"GIT_INDEX_FILE": f"{folder}/index"}
            capture(self._command(("read-tree", commit), own))
            answer = capture(self._command(("check-attr", "--cached", "-z", name, "--", *paths), own))
        fields = iter(answer.out.decode(errors="surrogateescape").split("\0"))
        return tuple(path for path, _, found in zip(fields, fields, fields, strict=False) if found == value)

    def changes(self, commit: str, work_tree: "WorkTree", directory: str) -> bytes:
        """What `git status` says of a working tree that is at the commit, of the folder below it ("" for all).

        Its submodules are left out: git would ask each under that one's own settings.
        """
        chosen = (directory,) if directory else ()
        arguments = ("status", "--porcelain", "--untracked-files=normal", "--ignore-submodules=all", "--", *chosen)
        with work_tree.mirrored(commit, self.format) as mirror:
            own = {"GIT_DIR": str(mirror), "GIT_WORK_TREE": str(work_tree.top), "GIT_INDEX_FILE": str(work_tree.index)}
            return capture(self._command((*_excludes_of_user(), *arguments), own, work_tree.top)).out

    def _command(
        self, arguments: tuple[str, ...], own: dict[str, str] | None = None, folder: Path = Path("/")
    ) -> Command:
        nothing = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        place = {"GIT_DIR": str(_EMPTY / self.format), "GIT_OBJECT_DIRECTORY": str(self.folder)}
        return _command(arguments, folder, {**nothing, **place, **(own or {})})


@frozen
class WorkTree:
    """A working tree by its top, where its index is, and the files that say what is ignored beside .gitignore."""

    top: Path
    index: Path
    excludes: Path

    @contextmanager
    def mirrored(self, commit: str, format_: str) -> Iterator[Path]:
        """A folder that is a repository at the commit, with the settings of none, inside the block."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "refs").mkdir()
            (folder / "info").mkdir()
            (folder / "HEAD").write_text(f"{commit}\n")
            settings = (_EMPTY / format_ / "config").read_text().replace("bare = true", "bare = false")
            (folder / "config").write_text(settings)
            (folder / "info" / "exclude").symlink_to(self.excludes)
            for part in self.index.parent.glob("sharedindex.*"):
                (folder / part.name).symlink_to(part)
            yield folder


def _excludes_of_user() -> tuple[str, ...]:
    """The user's own list of what is to be ignored, as a setting; without one git takes the file in its usual place."""
    found = Git(Path("/")).ask("config", "--global", "--type=path", "--get", "core.excludesFile")
    return ("-c", f"core.excludesFile={found.text}") if found.status == 0 else ()


def _command(arguments: tuple[str, ...], folder: Path, own: dict[str, str]) -> Command:
    settings = tuple(part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}"))
    argv = ("git", "--no-pager", "--literal-pathspecs", *settings, *arguments)
    return Command(argv, folder, {**_environment(), **own}, _DEADLINE_S)


def _environment() -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        # A clone may lack objects and name the program that fetches them: none may, by no way.
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_LAZY_FETCH": "1",
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
    }
