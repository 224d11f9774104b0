"""Config versions: what each deploy's config was, numbered from 1, sealed, and never changed."""

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
from trivet.release.vault import Vault


class ConfigStore:
    """The config versions of all deploys: a context manager around one connection.

    Values live here and in the releases' env.age, sealed, in the environments of what runs, and nowhere else. A deploy's
    versions are erased when it is destroyed. What reads or stores values raises ConfigLocked without the right key.
    """

    def __init__(self, home: Home, *, clock: Callable[[], str] = now) -> None:
        self._path = home.database
        self._vault = Vault(home)
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
            version = record.release.config_version if record else read_newest_version(self._connection, deploy)
        return self.at(deploy, version)

    def at(self, deploy: Deploy, version: int) -> ConfigVersion:
        """The config stored under this version; version 0 is empty. Raises: ConfigError."""
        with in_words(self._path):
            config = read_config(self._connection, self._vault, deploy, version)
            newest = read_newest_version(self._connection, deploy)
        if config is None:
            raise ConfigError(
                f"{deploy} has no config version {version}.",
                hint=f"The newest is {newest}." if newest else "It has no config yet: `trivet config set KEY=VALUE`.",
            )
        return ConfigVersion(version, config)

    def add(self, deploy: Deploy, config: Config) -> ConfigVersion:
        """The config is stored under the next version; if it is the newest one already, that one stays the newest."""
        with in_words(self._path), writing(self._connection):
            newest = read_newest_version(self._connection, deploy)
            if read_config(self._connection, self._vault, deploy, newest) == config:
                return ConfigVersion(newest, config)
            return self._insert(deploy, config)

    def _insert(self, deploy: Deploy, config: Config) -> ConfigVersion:
        (last,) = self._connection.execute(
            "SELECT max(version) FROM config_versions WHERE app = ? AND deploy = ?", (deploy.app, deploy.name)
        ).fetchone()
        version = (last or 0) + 1
        entry = read_last_entry(self._connection)
        position = entry[0] if entry else 0
        sealed = self._vault.seal(write_document(config), is_first=_is_first(self._connection))
        self._connection.execute(
            "INSERT INTO config_versions (app, deploy, version, position, at, body) VALUES (?, ?, ?, ?, ?, ?)",
            (deploy.app, deploy.name, version, position, self._clock(), sealed),
        )
        return ConfigVersion(version, config)


def read_config(connection: sqlite3.Connection, vault: Vault, deploy: Deploy, version: int) -> Config | None:
    """The config of this version; None if there is none or it was erased. Raises: ConfigLocked, InvalidDocument."""
    sealed = read_sealed(connection, deploy, version)
    if not sealed:
        return None if sealed is None else Config()
    name = f"config version {version} of {deploy}"
    return read_document(Config, vault.open(sealed, name=name), name=name)


def read_sealed(connection: sqlite3.Connection, deploy: Deploy, version: int) -> str | None:
    """The config of this version as it is stored: what env.age holds, to the byte. "" for version 0, which is empty."""
    if version == 0:
        return ""
    row = connection.execute(
        "SELECT body FROM config_versions WHERE app = ? AND deploy = ? AND version = ?",
        (deploy.app, deploy.name, version),
    ).fetchone()
    return None if row is None else row[0]


def read_newest_version(connection: sqlite3.Connection, deploy: Deploy) -> int:
    """The newest version stored since the deploy was made; 0 if there is none."""
    row = connection.execute(
        "SELECT version FROM config_versions WHERE app = ? AND deploy = ? AND position >= ? ORDER BY version DESC LIMIT 1",
        (deploy.app, deploy.name, read_life(connection, deploy).position),
    ).fetchone()
    return 0 if row is None else row[0]


def erase_configs(connection: sqlite3.Connection, deploy: Deploy) -> None:
    """No value is left of what was stored before the deploy was destroyed; the ledger says so already."""
    connection.execute(
        "UPDATE config_versions SET body = NULL WHERE app = ? AND deploy = ? AND position < ? AND body IS NOT NULL",
        (deploy.app, deploy.name, read_life(connection, deploy).position),
    )


def _is_first(connection: sqlite3.Connection) -> bool:
    """Whether no value of any deploy is stored, so that a key that is not there was never made."""
    return connection.execute("SELECT 1 FROM config_versions WHERE body IS NOT NULL LIMIT 1").fetchone() is None
