"""Config versions: what each deploy's config was, numbered from 1 and never changed."""

import sqlite3
from collections.abc import Callable
from types import TracebackType
from typing import Self

from trivet.errors import ConfigError
from trivet.host.clock import now
from trivet.model.config import Config, ConfigVersion
from trivet.model.document import read_document, write_document
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.release.database import in_words, open_database, writing
from trivet.release.records import read_current, read_last_entry, read_life

_EMPTY = ConfigVersion(0, Config())


class ConfigStore:
    """The config versions of all deploys: a context manager around one connection.

    Values live here, in the releases' env.json, and nowhere else. A deploy's versions are erased when it is destroyed.
    """

    def __init__(self, home: Home, *, clock: Callable[[], str] = now) -> None:
        self._path = home.database
        self._connection = open_database(self._path)
        self._clock = clock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def current(self, deploy: Deploy) -> ConfigVersion:
        """The config that the next release starts from.

        It is the newest good release's; before there is one, the newest version stored, or version 0, which is empty.
        So a change that failed to come up is not adopted by the next deploy, and a rollback brings its config back for
        good. docs/decisions/0004-current-config.md has the reasons.
        """
        with in_words(self._path):
            record = read_current(self._connection, deploy)
            newest = read_newest(self._connection, deploy)
        return newest if record is None else self.at(deploy, record.release.config_version)

    def at(self, deploy: Deploy, version: int) -> ConfigVersion:
        """The config stored under this version; version 0 is empty. Raises: ConfigError."""
        with in_words(self._path):
            config = read_config(self._connection, deploy, version)
            newest = read_newest(self._connection, deploy).version
        if config is None:
            raise ConfigError(
                f"{deploy} has no config version {version}.",
                hint=f"The newest is {newest}." if newest else "It has no config yet: `trivet config set KEY=VALUE`.",
            )
        return ConfigVersion(version, config)

    def add(self, deploy: Deploy, config: Config) -> ConfigVersion:
        """The config is stored under the next version; if it is the newest one already, that one stays the newest."""
        with in_words(self._path), writing(self._connection):
            newest = read_newest(self._connection, deploy)
            if newest.config == config:
                return newest
            return self._insert(deploy, config)

    def _insert(self, deploy: Deploy, config: Config) -> ConfigVersion:
        (last,) = self._connection.execute(
            "SELECT max(version) FROM config_versions WHERE app = ? AND deploy = ?", (deploy.app, deploy.name)
        ).fetchone()
        version = (last or 0) + 1
        entry = read_last_entry(self._connection)
        position = entry[0] if entry else 0
        self._connection.execute(
            "INSERT INTO config_versions (app, deploy, version, position, at, body) VALUES (?, ?, ?, ?, ?, ?)",
            (deploy.app, deploy.name, version, position, self._clock(), write_document(config)),
        )
        return ConfigVersion(version, config)


def read_config(connection: sqlite3.Connection, deploy: Deploy, version: int) -> Config | None:
    """The config of this version; None if there is none or it was erased. Raises: InvalidDocument."""
    body = read_document_of(connection, deploy, version)
    return None if body is None else _config(body, deploy, version)


def read_document_of(connection: sqlite3.Connection, deploy: Deploy, version: int) -> str | None:
    """The config of this version as the document that is stored: what env.json holds, to the byte."""
    if version == 0:
        return write_document(_EMPTY.config)
    row = connection.execute(
        "SELECT body FROM config_versions WHERE app = ? AND deploy = ? AND version = ?",
        (deploy.app, deploy.name, version),
    ).fetchone()
    return None if row is None else row[0]


def read_newest(connection: sqlite3.Connection, deploy: Deploy) -> ConfigVersion:
    """The newest version stored since the deploy was made; version 0 if there is none."""
    row = connection.execute(
        "SELECT version, body FROM config_versions WHERE app = ? AND deploy = ? AND position >= ? "
        "ORDER BY version DESC LIMIT 1",
        (deploy.app, deploy.name, read_life(connection, deploy).position),
    ).fetchone()
    return _EMPTY if row is None else ConfigVersion(row[0], _config(row[1], deploy, row[0]))


def erase_configs(connection: sqlite3.Connection, deploy: Deploy) -> None:
    """No value is left of what was stored before the deploy was destroyed; the ledger says so already."""
    connection.execute(
        "UPDATE config_versions SET body = NULL WHERE app = ? AND deploy = ? AND position < ? AND body IS NOT NULL",
        (deploy.app, deploy.name, read_life(connection, deploy).position),
    )


def _config(body: str, deploy: Deploy, version: int) -> Config:
    return read_document(Config, body, name=f"config version {version} of {deploy}")
