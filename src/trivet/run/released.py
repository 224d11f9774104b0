"""What the run stage reads of a release: its own folder, and nothing else."""

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


def read_release(home: Home, deploy: Deploy, number: int) -> tuple[Release, Config]:
    """The release and its config's values. Raises: UnknownRelease, InvalidDocument, MachineError."""
    folder = home.release(deploy, number)
    release = documents.read(Release, folder / "release.json", name=f"v{number}/release.json")
    config = documents.read(Config, folder / "env.json", name=f"v{number}/env.json")
    if release is None or config is None:
        missing = folder / ("release.json" if release is None else "env.json")
        raise UnknownRelease(
            f"{deploy} has no release v{number} on this machine: {missing} is missing.",
            hint="`trivet releases` lists what there is.",
        )
    return release, config


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
