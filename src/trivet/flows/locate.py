"""Which app a command means: named, or told by the folder it is typed in."""

import re
from pathlib import Path

from trivet.build import find_repository
from trivet.errors import InvalidName, SourceError, UnknownApp
from trivet.model.frozen import frozen
from trivet.model.names import AppName, parse_app_name

SETTINGS_FILE = "trivet.toml"


@frozen
class Place:
    """A folder as Trivet sees it: the repository around it and the app's folder inside ("" for the top)."""

    repository: Path
    directory: str


def locate_app(folder: Path, named: str | None, directory: str | None = None) -> AppName:
    """The named app, else the one of the nearest `trivet.toml`, else the one called as the repository is.

    Raises: InvalidName, UnknownApp.
    """
    if named is not None:
        return parse_app_name(named)
    return _app_at(_place_of_unnamed(folder, directory))


def locate_source(folder: Path, named: str | None, directory: str | None = None) -> tuple[AppName, Place]:
    """The app as `locate_app` finds it, and where its source is. Raises: InvalidName, UnknownApp, SourceError."""
    if named is not None:
        return parse_app_name(named), locate(folder, directory)
    place = _place_of_unnamed(folder, directory)
    return _app_at(place), place


def locate(folder: Path, directory: str | None = None) -> Place:
    """The repository around the folder, and the app's folder in it.

    The app's folder is `directory` (relative to where the command is typed), else the nearest one upwards that holds a
    `trivet.toml`, else the repository's top. Raises: SourceError.
    """
    repository = find_repository(folder)
    if directory is not None:
        return Place(repository, _inside(repository, (folder / directory).resolve()))
    here = folder.resolve()
    while here != repository and repository in here.parents:
        if (here / SETTINGS_FILE).is_file():
            return Place(repository, _inside(repository, here))
        here = here.parent
    return Place(repository, "")


def _place_of_unnamed(folder: Path, directory: str | None) -> Place:
    try:
        return locate(folder, directory)
    except SourceError as error:
        raise UnknownApp(
            f"Which app? {folder} is not in a git repository.",
            hint="Name it with -a APP, or change to its folder. `trivet apps` lists them.",
        ) from error


def _app_at(place: Place) -> AppName:
    return _app_from_settings(place.repository / place.directory / SETTINGS_FILE) or _app_from_folder(place)


def _inside(repository: Path, folder: Path) -> str:
    try:
        relative = folder.relative_to(repository.resolve())
    except ValueError as error:
        raise SourceError(
            f"{folder} is not in the repository {repository}.", hint="Give --dir as a folder of the repository."
        ) from error
    return "" if relative == Path() else relative.as_posix()


def _app_from_settings(path: Path) -> AppName | None:
    """The app's name, also from a file that somebody is editing: the rest of it counts when its commit is built."""
    if not path.is_file():
        return None
    above_the_tables = re.split(r"^\s*\[", path.read_text(errors="replace"), maxsplit=1, flags=re.MULTILINE)[0]
    match = re.search(r"""^\s*app\s*=\s*["']([^"']*)["']""", above_the_tables, re.MULTILINE)
    return parse_app_name(match[1]) if match else None


def _app_from_folder(place: Place) -> AppName:
    name = (place.repository / place.directory).resolve().name.removesuffix(".git")
    suggestion = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "my-app"
    try:
        return parse_app_name(name)
    except InvalidName as error:
        raise UnknownApp(
            f"Which app? The folder's name, {name!r}, cannot be an app's name.",
            hint=f'Name it with -a APP, or put app = "{suggestion}" into {SETTINGS_FILE}.',
        ) from error
