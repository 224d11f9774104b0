"""What the run stage reads of a release: its own folder and its environment, and nothing else; no database, no key."""

import os
import re

from trivet.errors import InvalidDocument, RunError, UnknownRelease
from trivet.model.config import Config
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.release import Release
from trivet.run import documents
from trivet.run.plan import app_folder

_CURRENT = re.compile(r"\.\./releases/v([1-9][0-9]{0,8})")


def read_release(home: Home, deploy: Deploy, number: int) -> Release:
    """The release. Raises: UnknownRelease, InvalidDocument, MachineError."""
    path = home.release(deploy, number) / "release.json"
    release = documents.read_exactly(Release, path, name=f"v{number}/release.json")
    if release is None:
        raise UnknownRelease(
            f"{deploy} has no release v{number} on this machine: {path} is missing.",
            hint="`trivet releases` lists what there is.",
        )
    return release


def read_environment(home: Home, deploy: Deploy, number: int) -> Config:
    """The config of the release, with its values. Raises: RunError, InvalidDocument, MachineError."""
    path = home.environment(deploy, number)
    config = documents.read_exactly(Config, path, name=f"env/{deploy}/v{number}.json")
    if config is None:
        raise RunError(
            f"The environment of v{number} of {deploy} is not there: {path} is missing.",
            hint="`trivet up` writes it again, from the config as it is stored.",
        )
    return config


def check_runnable(home: Home, release: Release) -> None:
    """Raises: RunError, if the build's folder or the machine's program that it relies on is gone."""
    folder = app_folder(home, release)
    if not folder.is_dir():
        raise RunError(
            f"The build {release.build.id} of {release.name} is not on this machine: {folder} is missing.",
            hint="Deploy its commit again: trivet deploy " + release.build.source.short,
        )
    build = release.build
    program = build.tools[build.runtime].path if build.runtime else None
    if program is not None and not os.access(program, os.X_OK):
        raise RunError(
            f"The build {build.id} of {release.name} relies on {program}, which is gone.",
            hint="Install it again, or build anew with what is there: trivet deploy --rebuild",
        )


def current_release(home: Home, deploy: Deploy) -> int | None:
    """The number that `run/current` points to; None before the first roll-out. Raises: InvalidDocument."""
    try:
        target = str((home.run(deploy) / "current").readlink())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _not_a_release(deploy, "it is no link") from error
    if (match := _CURRENT.fullmatch(target)) is None:
        raise _not_a_release(deploy, f"it points to {target!r}")
    return int(match[1])


def _not_a_release(deploy: Deploy, why: str) -> InvalidDocument:
    return InvalidDocument(
        f"run/current of {deploy} does not say which release runs: {why}.",
        hint="Somebody has changed it by hand. Deploy again, or roll back: both write it anew.",
    )
