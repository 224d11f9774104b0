"""The record of builds: `builds/<id>/` with its documents and links, and the index of them in the database.

Written last: what the index names exists.
"""

import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from trivet.build.attempts import forget_attempts
from trivet.build.index import in_words, open_index, open_to_look
from trivet.build.store import Store
from trivet.errors import BuildError
from trivet.host.files import make_directories, refused, remove_tree, replace, sync_directory, sync_file_system
from trivet.model.build import Build, Layer
from trivet.model.build_document import BuildDocument
from trivet.model.document import read_document
from trivet.model.home import Home
from trivet.model.names import AppName

MAKING = "making"
FAILED = "failed"  # what the log of the last build that failed goes by, since it has no id

_TABLES = """
CREATE TABLE IF NOT EXISTS builds (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    app TEXT NOT NULL, input_key TEXT NOT NULL, id TEXT NOT NULL, created_at TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS builds_by_key ON builds (app, input_key);
CREATE TABLE IF NOT EXISTS layer_keys (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, files INTEGER NOT NULL, size_bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""


class Records:
    """The index of one home; a context manager. With `looks_only` nothing is made: where there is no index, nothing is found."""

    def __init__(self, home: Home, *, looks_only: bool = False) -> None:
        self._home = home
        self._looks_only = looks_only
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> "Records":
        path = self._home.database
        self._connection = open_to_look(path, "builds") if self._looks_only else open_index(path, _TABLES)
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def find_build(self, app: AppName, input_key: str) -> Build | None:
        """The newest build with this key, if its documents are there and all its layers, if need be checked out again."""
        build = self.known_build(app, input_key)
        store = Store(self._home)
        if build is None or not all(store.obtain(layer.digest) for layer in build.layers):
            return None
        mark_used(self._home, build)
        return build

    def known_build(self, app: AppName, input_key: str) -> Build | None:
        """The newest build with this key, if its documents are there, whatever became of its layers."""
        rows = self._ask(
            "SELECT id FROM builds WHERE app = ? AND input_key = ? ORDER BY number DESC LIMIT 1", app, input_key
        )
        is_there = bool(rows) and (self._home.build(app, str(rows[0][0])) / BuildDocument.BUILD).is_file()
        return read_build(self._home, app, str(rows[0][0])) if is_there else None

    def newest_build(self, app: AppName) -> Build | None:
        """The app's newest build, if its documents are there."""
        newest = next(iter(self.build_ids(app)), "")
        is_there = bool(newest) and (self._home.build(app, newest) / BuildDocument.BUILD).is_file()
        return read_build(self._home, app, newest) if is_there else None

    def build_ids(self, app: AppName) -> tuple[str, ...]:
        """The ids of the app's builds, newest first."""
        rows = self._ask("SELECT id FROM builds WHERE app = ? GROUP BY id ORDER BY max(number) DESC", app)
        return tuple(str(row[0]) for row in rows)

    def find_layer(self, key: str) -> Layer | None:
        """The layer that was made under this key, if it is still there, if need be checked out again."""
        layer = self.known_layer(key)
        return layer if layer is not None and Store(self._home).obtain(layer.digest) else None

    def known_layer(self, key: str) -> Layer | None:
        """The layer that was made under this key, whatever became of it."""
        rows = self._ask("SELECT name, digest, files, size_bytes FROM layer_keys WHERE key = ?", key)
        layers = (Layer(str(name), str(digest), int(files), int(size)) for name, digest, files, size in rows)
        return next(layers, None)

    def add_layer(self, key: str, layer: Layer) -> None:
        """The layer is found by this key from now on."""
        self._ask(
            "INSERT INTO layer_keys VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
            "name = excluded.name, digest = excluded.digest, files = excluded.files, size_bytes = excluded.size_bytes",
            *(key, layer.name, layer.digest, layer.files, layer.size_bytes),
        )

    def add_build(self, build: Build) -> None:
        """The build is found by its input key and listed from now on."""
        self._ask(
            "INSERT INTO builds (app, input_key, id, created_at) VALUES (?, ?, ?, ?)",
            *(build.app, build.input_key, build.id, build.created_at),
        )

    def forget(self, app: AppName) -> None:
        """No build of the app is listed any more."""
        self._ask("DELETE FROM builds WHERE app = ?", app)

    def _ask(self, statement: str, *values: str | int) -> list[tuple[str | int, ...]]:
        if self._connection is None:
            assert self._looks_only, "Records is a context manager"
            return []
        with in_words(self._home.database):
            return self._connection.execute(statement, values).fetchall()


def write_build(home: Home, build: Build, scratch: Path, documents: Mapping[str, bytes]) -> Build:
    """The build's folder is there, whole. Returns what it says: of two builds that made the same, the first stays."""
    folder = scratch / "record"
    bundle = folder / "bundle"
    bundle.mkdir(parents=True)
    for layer in build.layers:
        for name in layer.names:
            (bundle / name).symlink_to(f"../../../../../layers/{layer.digest}")
    _link_making(folder / MAKING, build)
    for name, content in documents.items():
        (folder / name).write_bytes(content)
    sync_file_system(folder)
    target = home.build(build.app, build.id)
    make_directories(target.parent)
    try:
        folder.rename(target)
    except OSError as error:
        if not target.is_dir():
            raise refused(error, f"write {target}") from error
        mark_used(home, build)
        return read_build(home, build.app, build.id)
    sync_directory(target.parent)
    return build


def _link_making(folder: Path, build: Build) -> None:
    """Beside the bundle stands what only its making needed, if there is any: pruning keeps it for the next build."""
    if build.made_with:
        folder.mkdir()
    for layer in build.made_with:
        (folder / layer.name).symlink_to(f"../../../../../layers/{layer.digest}")


def mark_used(home: Home, build: Build) -> None:
    """The build counts as one that somebody wants now: it is not pruned for a while."""
    os.utime(home.build(build.app, build.id) / BuildDocument.BUILD)


def write_failed_log(home: Home, app: AppName, log: Path) -> None:
    """The log is kept as that of the app's last build that failed."""
    make_directories(home.builds(app))
    replace(home.builds(app) / f"{FAILED}.log", log.read_bytes())


def read_build(home: Home, app: AppName, build_id: str) -> Build:
    """One build. Raises: BuildError if there is none, InvalidDocument."""
    path = home.build(app, build_id) / BuildDocument.BUILD
    if not _is_name(build_id) or not path.is_file():
        raise _unknown(app, build_id)
    return read_document(Build, path.read_text(encoding="utf-8"), name=str(path))


def list_builds(home: Home, app: AppName) -> tuple[Build, ...]:
    """The app's builds, newest first."""
    if not home.builds(app).is_dir():
        return ()
    with Records(home) as records:
        ids = records.build_ids(app)
    return tuple(
        read_build(home, app, build_id)
        for build_id in ids
        if (home.build(app, build_id) / BuildDocument.BUILD).is_file()
    )


def read_log(home: Home, app: AppName, build_id: str) -> str:
    """All that the commands of the build wrote; "failed" is the last build that failed. Raises: BuildError."""
    path = home.builds(app) / f"{FAILED}.log" if build_id == FAILED else home.build(app, build_id) / BuildDocument.LOG
    if not _is_name(build_id) or not path.is_file():
        raise _unknown(app, build_id)
    return path.read_text(encoding="utf-8", errors="replace")


def read_beside(home: Home, app: AppName, build_id: str, document: BuildDocument) -> str:
    """A document of the build, as it stands there. Raises: BuildError if there is no such build, or it has none."""
    build = read_build(home, app, build_id)
    path = home.build(app, build_id) / document
    if not path.is_file():
        raise BuildError(
            f"The build {build.id} has no {document}.",
            hint="It was made by an earlier version of Trivet, or somebody removed it: `trivet builds verify` tells.",
        )
    return path.read_text(encoding="utf-8", errors="replace")


def remove_builds(home: Home, app: AppName) -> None:
    """The app has no builds any more. Layers stay, since other apps may share them."""
    with Records(home) as records:
        records.forget(app)
    forget_attempts(home, app)
    remove_tree(home.builds(app))


def _is_name(build_id: str) -> bool:
    return bool(build_id) and build_id == os.path.basename(build_id) and not build_id.startswith(".")  # noqa: PTH119


def _unknown(app: AppName, build_id: str) -> BuildError:
    return BuildError(f"{app} has no build {build_id!r}.", hint="`trivet builds` lists the builds of an app.")
