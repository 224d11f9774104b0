"""`[build]`: how the app is to be built."""

import re
from collections.abc import Mapping
from dataclasses import field
from pathlib import PurePosixPath

from trivet.model.frozen import frozen
from trivet.model.settings.file import (
    Place,
    Reader,
    SettingsFile,
    mistyped,
    read_switch,
    read_table,
    read_text,
    table_of,
)

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PACKAGE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_OWNED = ("PATH", "HOME", "TMPDIR")
EVERY = ("*",)  # as `source_distributions`: all that have no wheel


@frozen
class BuildSettings:
    """`[build]`: the builder to use, shell commands that run after the dependencies, and variables they see.

    `network` is the phase that has the network although it would not: "compile", or None.
    `requires_signature`: what is deployed must be signed by somebody whom the file `allowed_signers` of the app lists.
    `programs` are those to be compiled, where the source has several: folders of a Go module, names of Rust binaries.
    `source_distributions` are the packages that may be built from source. `collectstatic`: whether Django's static files
    are collected (None: if they are configured). `root` is the folder of the source, as seen from the app's ("..", "../.."),
    if it holds more than that.
    `output` is the folder of a static site's pages (None: the usual ones).
    """

    builder: str | None = None
    commands: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    network: str | None = None
    requires_signature: bool = False
    allowed_signers: str | None = None
    programs: tuple[str, ...] = ()
    source_distributions: tuple[str, ...] = ()
    collectstatic: bool | None = None
    root: str | None = None
    output: str | None = None


def read_build(file: SettingsFile, place: Place, data: object) -> BuildSettings:
    """The settings of the table."""
    return BuildSettings(**read_table(file, place, data, _BUILD))  # type: ignore[arg-type]


def _read_folder(file: SettingsFile, place: Place, data: object) -> str:
    path = PurePosixPath(data) if isinstance(data, str) else PurePosixPath()
    if path == PurePosixPath() or path.is_absolute() or ".." in path.parts or "\0" in str(path):
        raise mistyped(file, place, data, "a folder in the app's folder", f'{place[-1]} = "dist"')
    return path.as_posix()


def _read_commands(file: SettingsFile, place: Place, data: object) -> tuple[str, ...]:
    if not isinstance(data, list) or not all(isinstance(it, str) and it.strip() and "\0" not in it for it in data):
        raise mistyped(
            file, place, data, "a list of commands", f'{place[-1]} = ["python manage.py collectstatic --noinput"]'
        )
    return tuple(data)


def _read_programs(file: SettingsFile, place: Place, data: object) -> tuple[str, ...]:
    if not isinstance(data, list) or not data or not all(isinstance(it, str) and it.strip() for it in data):
        raise mistyped(file, place, data, "a list of programs", f'{place[-1]} = ["cmd/web"]')
    return tuple(data)


def _read_root(file: SettingsFile, place: Place, data: object) -> str:
    if not isinstance(data, str) or not re.fullmatch(r"\.\.(/\.\.)*/?", data):
        raise mistyped(file, place, data, "a folder above the app's", f'{place[-1]} = ".."')
    return data.rstrip("/")


def _read_source_distributions(file: SettingsFile, place: Place, data: object) -> tuple[str, ...]:
    if data is True:
        return EVERY
    if data is False:
        return ()
    if not isinstance(data, list) or not all(isinstance(it, str) and _PACKAGE.fullmatch(it) for it in data):
        raise mistyped(file, place, data, "true, or a list of packages", f'{place[-1]} = ["psycopg2"]')
    return tuple(data)


def _read_environment(file: SettingsFile, place: Place, data: object) -> Mapping[str, str]:
    values = {}
    for key, value in table_of(file, place, data).items():
        if not _VARIABLE.fullmatch(key):
            raise file.error(
                (*place, key),
                f"{key!r} is not a valid variable name.",
                "Use letters, digits and '_', not starting with a digit, for example SECRET_KEY.",
            )
        if key in _OWNED:
            raise file.error(
                (*place, key),
                f"{key} is set by Trivet for every command of a build.",
                "Choose another name, or set it in the command itself.",
            )
        if not isinstance(value, str) or "\0" in value:
            raise mistyped(file, (*place, key), value, "text in quotes", f'{key} = "…"')
        values[key] = value
    return values


def _read_network(file: SettingsFile, place: Place, data: object) -> str:
    if data != "compile":
        raise mistyped(file, place, data, "the phase that is to have the network, too", 'network = "compile"')
    return "compile"


_BUILD: Mapping[str, tuple[str, Reader]] = {
    "builder": ("builder", read_text),
    "programs": ("programs", _read_programs),
    "commands": ("commands", _read_commands),
    "environment": ("environment", _read_environment),
    "network": ("network", _read_network),
    "require_signature": ("requires_signature", read_switch),
    "allowed_signers": ("allowed_signers", read_text),
    "source_distributions": ("source_distributions", _read_source_distributions),
    "collectstatic": ("collectstatic", read_switch),
    "root": ("root", _read_root),
    "output": ("output", _read_folder),
}
