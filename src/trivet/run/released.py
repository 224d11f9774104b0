"""What the run stage reads of a release: its own folder, and nothing else."""

import os
from pathlib import Path

from trivet.errors import RunError, UnknownRelease
from trivet.model.config import Config
from trivet.model.document import read_document
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.release import Release
from trivet.run.plan import app_folder


def read_release(home: Home, deploy: Deploy, number: int) -> tuple[Release, Config]:
    """The release and its config's values. Raises: UnknownRelease, InvalidDocument."""
    folder = home.release(deploy, number)
    release = read_document(Release, _read(folder / "release.json", deploy, number), name=f"v{number}/release.json")
    config = read_document(Config, _read(folder / "env.json", deploy, number), name=f"v{number}/env.json")
    return release, config


def check_runnable(home: Home, release: Release) -> None:
    """Raises: RunError, if the build's folder or the machine's program that it relies on is gone."""
    folder = app_folder(home, release)
    if not folder.is_dir():
        raise RunError(
            f"The build {release.build.id} of {release.name} is not on this machine: {folder} is missing.",
            hint="Deploy its commit again: trivet deploy " + release.build.source.short,
        )
    interpreter = release.build.interpreter
    if interpreter is not None and not os.access(interpreter, os.X_OK):
        raise RunError(
            f"The build {release.build.id} of {release.name} relies on {interpreter}, which is gone.",
            hint="Install it again, or build anew with what is there: trivet deploy --rebuild",
        )


def current_release(home: Home, deploy: Deploy) -> int | None:
    """The number that `run/current` points to; None before the first roll-out."""
    try:
        name = (home.run(deploy) / "current").readlink().name
    except OSError:
        return None
    return int(name[1:]) if name.startswith("v") and name[1:].isdigit() else None


def _read(path: Path, deploy: Deploy, number: int) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UnknownRelease(
            f"{deploy} has no release v{number} on this machine: {path} is missing.",
            hint="`trivet releases` lists what there is.",
        ) from error
