"""git, asked in one repository: with none of the caller's GIT_ variables, no hooks, no prompts, no writes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from trivet.host.command import Answer, Command, capture, piped

_DEADLINE_S = 600.0
_KEPT = ("HOME", "XDG_CONFIG_HOME", "SUDO_UID")  # where the user says which repositories of others are safe
_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.autocrlf": "false",
    "core.eol": "lf",
    "core.quotePath": "false",
    "log.showSignature": "false",
    "tar.umask": "0022",
}


@dataclass(frozen=True, slots=True)
class Git:
    """git in the repository around a folder, or, if `is_store`, in the folder that holds git's own files."""

    folder: Path
    is_store: bool = False

    def ask(self, *arguments: str) -> Answer:
        """What git answers. Raises: MachineError if there is no git."""
        return capture(self._command(arguments))

    @contextmanager
    def archive(self, commit: str, directory: str) -> Iterator[IO[bytes]]:
        """The commit's files as a tar stream, export-ignore and export-subst respected; `directory` "" is all of it.

        Raises: ChildProcessError with git's words.
        """
        chosen = (directory,) if directory else ()
        with piped(self._command(("archive", "--format=tar", commit, "--", *chosen))) as stream:
            yield stream

    def _command(self, arguments: tuple[str, ...]) -> Command:
        settings = tuple(part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}"))
        # The store of a submodule names its work tree, which may be gone: any other will do, nothing is looked up there.
        where = ("--git-dir", ".", "--work-tree", ".") if self.is_store else ()
        argv = ("git", "--no-pager", "--literal-pathspecs", *settings, *where, *arguments)
        return Command(argv, self.folder, _environment(), _DEADLINE_S)


def _environment() -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
    }
