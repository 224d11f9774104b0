"""Tree objects: what layers consist of beside the contents of their files, by sha256, in the database.

A folder's records (host/tree.py) and a link's target are one object each, so that a layer can be checked out again from
these and `objects/` alone, and a change of one file adds the records of the folders above it and nothing else.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from trivet.build.index import in_words, open_index
from trivet.host.tree import Record, Tree, read_records
from trivet.model.home import Home

_TABLES = """
CREATE TABLE IF NOT EXISTS tree_objects (digest TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT, WITHOUT ROWID;
"""


class Trees:
    """The tree objects of one home; a context manager."""

    def __init__(self, home: Home) -> None:
        self._path = home.database
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> "Trees":
        self._connection = open_index(self._path, _TABLES)
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def add(self, tree: Tree) -> None:
        """The tree is stored, whole. The contents of its files must be on disk already."""
        if not self.has(tree.digest):
            self._change(
                "INSERT OR IGNORE INTO tree_objects VALUES (?, ?)", [*tree.folders.items(), *tree.targets.items()]
            )

    def has(self, digest: str) -> bool:
        """Whether the tree is stored. Then all that it consists of is, since trees come and go whole."""
        return bool(self._ask("SELECT 1 FROM tree_objects WHERE digest = ?", digest))

    def content(self, digest: str) -> bytes | None:
        """The records or the target that the digest stands for."""
        rows = self._ask("SELECT content FROM tree_objects WHERE digest = ?", digest)
        content: bytes | None = rows[0][0] if rows else None
        return content

    def records(self, digest: str) -> Iterator[Record]:
        """The entries of a folder; none if it is not stored."""
        return read_records(self.content(digest) or b"")

    def digests(self) -> set[str]:
        """All that there are."""
        return {str(row[0]) for row in self._ask("SELECT digest FROM tree_objects")}

    def remove(self, digests: Collection[str]) -> None:
        """These are gone."""
        self._change("DELETE FROM tree_objects WHERE digest = ?", [(digest,) for digest in digests])

    def _ask(self, statement: str, *values: str) -> list[tuple[Any, ...]]:
        assert self._connection is not None, "Trees is a context manager"
        with in_words(self._path):
            return self._connection.execute(statement, values).fetchall()

    def _change(self, statement: str, rows: Iterable[tuple[str | bytes, ...]]) -> None:
        """All of it happens or nothing does."""
        assert self._connection is not None, "Trees is a context manager"
        with in_words(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(statement, rows)
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
