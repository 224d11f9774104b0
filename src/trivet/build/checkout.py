"""Checkout: a stored tree becomes a folder again, every content verified before it is shared."""

import os
from pathlib import Path

from trivet.build.objects import Sharing, is_good, object_path, seal, take_out
from trivet.build.trees import Trees
from trivet.host.tree import Record, hash_bytes
from trivet.model.home import Home

_CHANGED_AT = 315_532_800  # 1980-01-01, for folders and empty files: the first day that every format of archive knows
_EMPTY = hash_bytes(b"")


class Checkout:
    """Checks trees out of one home's store."""

    def __init__(self, home: Home, trees: Trees) -> None:
        self._objects = home.objects
        self._trees = trees
        self._sharing = Sharing()

    def check_out(self, digest: str, folder: Path) -> bool:
        """The folder is the tree, writable itself; False if something of it is missing or is not what it should be."""
        return self._fill(str(folder), digest)

    def could_check_out(self, digest: str) -> bool:
        """Whether `check_out` would do; nothing changes."""
        content = self._trees.content(digest)
        if content is None or hash_bytes(content) != digest:
            return False
        return all(self._is_there(record) for record in self._trees.records(digest))

    def _is_there(self, record: Record) -> bool:
        if record.kind == "tree":
            return self.could_check_out(record.value)
        if record.kind == "link":
            target = self._trees.content(record.value)
            return target is not None and hash_bytes(target) == record.value
        return record.value == _EMPTY or is_good(
            object_path(self._objects, record.value, is_program=record.kind == "program"), record.value
        )

    def _fill(self, folder: str, digest: str) -> bool:
        content = self._trees.content(digest)
        if content is None or hash_bytes(content) != digest:
            return False
        os.mkdir(folder, 0o700)  # noqa: PTH102
        done = all(self._make(f"{folder}/{record.name}", record) for record in self._trees.records(digest))
        os.utime(folder, (_CHANGED_AT, _CHANGED_AT))
        return done

    def _make(self, path: str, record: Record) -> bool:
        if record.kind == "tree":
            done = self._fill(path, record.value)
            if done:
                os.chmod(path, 0o555)  # noqa: PTH101
            return done
        if record.kind == "link":
            return self._link(path, record.value)
        is_program = record.kind == "program"
        if record.value == _EMPTY:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            seal(path, _CHANGED_AT, is_program=is_program)
            return True
        return take_out(self._objects, record.value, path, self._sharing, is_program=is_program)

    def _link(self, path: str, digest: str) -> bool:
        target = self._trees.content(digest)
        if target is None or hash_bytes(target) != digest:
            return False
        os.symlink(target, os.fsencode(path))  # noqa: PTH211
        return True
