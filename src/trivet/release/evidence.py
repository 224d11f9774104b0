"""Evidence: what the ledger says of a release's files, and whether they, and the stored config, are what it says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.names import AppName, Deploy, DeployName
from trivet.release.entry import Entry, digest, salted_digest
from trivet.release.folder import RELEASE_FILE, SEALED_FILE, Found, read_if_there


@frozen
class Evidence:
    """The digests in the entry of a release, and its salt."""

    position: int
    deploy: Deploy
    number: int
    config_version: int
    release_digest: str
    sealed_digest: str
    env_digest: str
    env_salt: str


def evidence_of(entry: Entry, body: Mapping[str, Any]) -> Evidence:
    """What the entry says, whose body is this JSON. It is not decoded any further: that takes longer than all the rest."""
    return Evidence(
        entry.position,
        Deploy(AppName(entry.app), DeployName(entry.deploy)),
        entry.number,
        body["release"].get("config_version", 0),
        body["release_digest"],
        body["sealed_digest"],
        body["env_digest"],
        entry.salt,
    )


class Folders:
    """The release folders of a deploy and its environments, of which `found` there are."""

    def __init__(self, home: Home, deploy: Deploy, found: Found) -> None:
        self._folder = str(home.releases(deploy))
        self._found = found
        self._environments = {path.name: path for path in home.environment(deploy, 1).parent.glob("v*.json")}

    def fault(self, told: Evidence) -> str | None:
        """What is wrong; None if all is as it was written, or gone altogether.

        No key is needed: what is sealed has a digest of its own.
        """
        if told.number not in self._found.folders:
            return None
        folder = f"{self._folder}/v{told.number}"
        if (content := read_if_there(f"{folder}/{RELEASE_FILE}")) is None:
            return f"{RELEASE_FILE} is missing" if Path(folder).is_dir() else None
        if digest(content) != told.release_digest:
            return f"{RELEASE_FILE} was changed"
        content = read_if_there(f"{folder}/{SEALED_FILE}")
        if digest(content or b"") != told.sealed_digest:
            return f"{SEALED_FILE} is missing" if content is None else f"{SEALED_FILE} was changed"
        return self._environment_fault(told)

    def _environment_fault(self, told: Evidence) -> str | None:
        path = self._environments.get(f"v{told.number}.json")
        content = read_if_there(str(path)) if path else None
        if content is not None and salted_digest(told.env_salt, content) != told.env_digest:
            return f"its environment, {path}, was changed"
        return None


def config_fault(told: Evidence, stored: str | None) -> str | None:
    """What is wrong with the config that is stored under the release's version, sealed; None if nothing is."""
    if stored is None:
        return f"config version {told.config_version} is missing"
    if digest(stored.encode()) != told.sealed_digest:
        return f"config version {told.config_version} was changed"
    return None
