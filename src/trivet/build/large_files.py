"""Large files: what Git LFS keeps beside a repository. A commit names them by sha256, so no program is asked for them.

https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
"""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from trivet.build.listing import Budget
from trivet.build.repository import Repository
from trivet.errors import SourceError
from trivet.host.tree import hash_file

LONGEST_POINTER_BYTES = 1024

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (\d+)\n"
)
_PATHS_AT_ONCE = 500


def is_pointer(content: bytes) -> bool:
    """Whether the content stands for that of a large file."""
    return _POINTER.fullmatch(content) is not None


def fill_in(repository: Repository, commit: str, pointers: Sequence[tuple[str, Path]], budget: Budget) -> None:
    """The pointers, by path in the commit and exported file, that .gitattributes give to LFS are what they stand for.

    Raises: SourceError if this clone does not have one.
    """
    for start in range(0, len(pointers), _PATHS_AT_ONCE):
        files = dict(pointers[start : start + _PATHS_AT_ONCE])
        for path in repository.objects.with_attribute(commit, "filter=lfs", tuple(files)):
            _fill(repository, path, files[path], budget)


def _fill(repository: Repository, path: str, file: Path, budget: Budget) -> None:
    pointer = _POINTER.fullmatch(file.read_bytes())
    assert pointer is not None
    digest = pointer[1].decode()
    kept = repository.large_files / "objects" / digest[:2] / digest[2:4] / digest
    if not kept.is_file() or hash_file(kept) != digest:
        raise SourceError(
            f"The content of {path!r} is kept by Git LFS, and this clone does not have it.",
            hint="Fetch it with `git lfs fetch --all`, then run the command again.",
        )
    budget.spend(kept.stat().st_size)
    mode = file.stat().st_mode
    beside = file.with_name(f"{file.name[:200]}.{os.urandom(4).hex()}")
    shutil.copyfile(kept, beside)
    beside.chmod(mode)
    beside.replace(file)
