"""Settings: what `trivet.toml` says, every key of it checked. The file is optional, and so is everything in it."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from trivet.errors import InvalidFile, InvalidName
from trivet.model.names import AppName, parse_app_name, parse_deploy_name, parse_process_type

FILE = "trivet.toml"

Place = tuple[str, ...]
Reader = Callable[["_File", Place, object], object]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PACKAGE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_OWNED = ("PATH", "HOME", "TMPDIR")
_LONGEST_S = 24 * 3600.0


EVERY = ("*",)  # as `source_distributions`: all that have no wheel


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """`[processes.NAME]`: how the run stage is to treat a process type; None where nothing is said."""

    health: str | None = None
    timeout_s: float | None = None
    settle_s: float | None = None
    grace_s: float | None = None


@dataclass(frozen=True, slots=True)
class DeploySettings:
    """`[deploys.NAME]`: where the deploy is reached; None where nothing is said."""

    port: int | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole `trivet.toml`; `Settings()` is what an app without one has."""

    app: AppName | None = None
    build: BuildSettings = field(default_factory=BuildSettings)
    processes: Mapping[str, ProcessSettings] = field(default_factory=dict)
    deploys: Mapping[str, DeploySettings] = field(default_factory=dict)


def parse_settings(text: str) -> Settings:
    """The settings that the text of a `trivet.toml` stands for. Raises: InvalidFile, with the line."""
    file = _File(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    values = _read_table(file, (), _parse_toml(file), _TOP)
    return Settings(**values)  # type: ignore[arg-type] # each reader of _TOP gives the type of its field


def invalid_setting(text: str, place: Place, why: str, hint: str) -> InvalidFile:
    """The error for a setting that can be read and yet is wrong; it starts with the file and the line of `place`."""
    return _File(text).error(place, why, hint)


def suggestion(name: str, known: Iterable[str]) -> str:
    """What may have been meant: "Did you mean 'health'?", or else all that there is."""
    import difflib  # only a mistake needs it, and it costs 5 ms

    names = list(known)
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"There is: {', '.join(names)}." if names else "There is none."


@dataclass(frozen=True, slots=True)
class _File:
    """The text of the file, which knows in which line a setting stands."""

    text: str

    def error(self, place: Place, why: str, hint: str) -> InvalidFile:
        return InvalidFile(f"{FILE}:{self.line(place)}: {why}", hint=hint)

    def line(self, place: Place) -> int:
        """The line of a setting, or of the nearest table around it; tomllib tells of no lines after it has parsed."""
        table: Place = ()
        best, depth = 1, 0
        for number, line in enumerate(self.text.splitlines(), start=1):
            if header := re.match(r"\s*\[+([^\]]+)\]", line):
                table = found = _split(header[1])
            elif key := re.match(r"\s*([\w.\-\"' ]+?)\s*=", line):
                found = (*table, *_split(key[1]))
            else:
                continue
            shared = len(found) if place[: len(found)] == found else 0
            if shared > depth:
                best, depth = number, shared
        return best


def _split(dotted: str) -> Place:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _parse_toml(file: _File) -> dict[str, object]:
    try:
        return tomllib.loads(file.text)
    except tomllib.TOMLDecodeError as error:
        # Until Python 3.14 gives the error a `lineno`, its message is the only place that has the line.
        found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        line = found[1] if found and found[1] else str(max(1, len(file.text.splitlines())))
        why = str(error)[: found.start()] if found else str(error)
        raise InvalidFile(
            f"{FILE}:{line}: {why[:1].lower()}{why[1:]}.",
            hint="The file is TOML: text stands in quotes, lists in brackets. https://toml.io has the rules.",
        ) from error


def _read_table(
    file: _File, place: Place, data: object, readers: Mapping[str, tuple[str, Reader]]
) -> dict[str, object]:
    values = {}
    for key, value in _table(file, place, data).items():
        if key not in readers:
            where = f" in [{'.'.join(place)}]" if place else ""
            raise file.error((*place, key), f"unknown setting {key!r}{where}.", suggestion(key, readers))
        name, reader = readers[key]
        values[name] = reader(file, (*place, key), value)
    return values


def _table(file: _File, place: Place, data: object) -> dict[str, object]:
    if not isinstance(data, dict):
        raise _mistyped(file, place, data, "a table", f"[{'.'.join(place)}]")
    return data


def _read_text(file: _File, place: Place, data: object) -> str:
    if not isinstance(data, str) or not data:
        raise _mistyped(file, place, data, "text in quotes", f'{place[-1]} = "…"')
    return data


def _read_switch(file: _File, place: Place, data: object) -> bool:
    if not isinstance(data, bool):
        raise _mistyped(file, place, data, "true or false", f"{place[-1]} = true")
    return data


def _read_app(file: _File, place: Place, data: object) -> AppName:
    try:
        return parse_app_name(_read_text(file, place, data))
    except InvalidName as error:
        raise file.error(place, error.message, error.hint) from error


def _read_folder(file: _File, place: Place, data: object) -> str:
    path = PurePosixPath(data) if isinstance(data, str) else PurePosixPath()
    if path == PurePosixPath() or path.is_absolute() or ".." in path.parts or "\0" in str(path):
        raise _mistyped(file, place, data, "a folder in the app's folder", f'{place[-1]} = "dist"')
    return path.as_posix()


def _read_commands(file: _File, place: Place, data: object) -> tuple[str, ...]:
    if not isinstance(data, list) or not all(isinstance(it, str) and it.strip() and "\0" not in it for it in data):
        raise _mistyped(
            file, place, data, "a list of commands", f'{place[-1]} = ["python manage.py collectstatic --noinput"]'
        )
    return tuple(data)


def _read_programs(file: _File, place: Place, data: object) -> tuple[str, ...]:
    if not isinstance(data, list) or not data or not all(isinstance(it, str) and it.strip() for it in data):
        raise _mistyped(file, place, data, "a list of programs", f'{place[-1]} = ["cmd/web"]')
    return tuple(data)


def _read_root(file: _File, place: Place, data: object) -> str:
    if not isinstance(data, str) or not re.fullmatch(r"\.\.(/\.\.)*/?", data):
        raise _mistyped(file, place, data, "a folder above the app's", f'{place[-1]} = ".."')
    return data.rstrip("/")


def _read_source_distributions(file: _File, place: Place, data: object) -> tuple[str, ...]:
    if data is True:
        return EVERY
    if data is False:
        return ()
    if not isinstance(data, list) or not all(isinstance(it, str) and _PACKAGE.fullmatch(it) for it in data):
        raise _mistyped(file, place, data, "true, or a list of packages", f'{place[-1]} = ["psycopg2"]')
    return tuple(data)


def _read_environment(file: _File, place: Place, data: object) -> Mapping[str, str]:
    values = {}
    for key, value in _table(file, place, data).items():
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
            raise _mistyped(file, (*place, key), value, "text in quotes", f'{key} = "…"')
        values[key] = value
    return values


def _read_network(file: _File, place: Place, data: object) -> str:
    if data != "compile":
        raise _mistyped(file, place, data, "the phase that is to have the network, too", 'network = "compile"')
    return "compile"


def _read_health(file: _File, place: Place, data: object) -> str:
    if not isinstance(data, str) or not re.fullmatch(r"/[!-~]*", data):
        raise _mistyped(file, place, data, "a path that starts with '/'", 'health = "/health"')
    return data


def _read_seconds(file: _File, place: Place, data: object) -> float:
    if isinstance(data, bool) or not isinstance(data, int | float) or not 0 < data <= _LONGEST_S:
        raise _mistyped(file, place, data, "a number of seconds above 0", f"{place[-1]} = 30")
    return float(data)


def _read_port(file: _File, place: Place, data: object) -> int:
    if isinstance(data, bool) or not isinstance(data, int) or not 1 <= data <= 65535:
        raise _mistyped(file, place, data, "a number from 1 to 65535", "port = 8000")
    return data


def _read_build(file: _File, place: Place, data: object) -> BuildSettings:
    return BuildSettings(**_read_table(file, place, data, _BUILD))  # type: ignore[arg-type]


def _read_processes(file: _File, place: Place, data: object) -> Mapping[str, ProcessSettings]:
    return {
        _name(file, (*place, name), parse_process_type): ProcessSettings(
            **_read_table(file, (*place, name), table, _PROCESS)  # type: ignore[arg-type]
        )
        for name, table in _table(file, place, data).items()
    }


def _read_deploys(file: _File, place: Place, data: object) -> Mapping[str, DeploySettings]:
    return {
        _name(file, (*place, name), parse_deploy_name): DeploySettings(
            **_read_table(file, (*place, name), table, _DEPLOY)  # type: ignore[arg-type]
        )
        for name, table in _table(file, place, data).items()
    }


def _name(file: _File, place: Place, parse: Callable[[str], str]) -> str:
    try:
        return parse(place[-1])
    except InvalidName as error:
        raise file.error(place, error.message, error.hint) from error


def _mistyped(file: _File, place: Place, data: object, expected: str, example: str) -> InvalidFile:
    shown = {True: "true", False: "false"}[data] if isinstance(data, bool) else repr(data)
    return file.error(place, f"{place[-1]} must be {expected}, not {shown}.", f"Write it like this: {example}")


_TOP: Mapping[str, tuple[str, Reader]] = {
    "app": ("app", _read_app),
    "build": ("build", _read_build),
    "processes": ("processes", _read_processes),
    "deploys": ("deploys", _read_deploys),
}
_BUILD: Mapping[str, tuple[str, Reader]] = {
    "builder": ("builder", _read_text),
    "programs": ("programs", _read_programs),
    "commands": ("commands", _read_commands),
    "environment": ("environment", _read_environment),
    "network": ("network", _read_network),
    "require_signature": ("requires_signature", _read_switch),
    "allowed_signers": ("allowed_signers", _read_text),
    "source_distributions": ("source_distributions", _read_source_distributions),
    "collectstatic": ("collectstatic", _read_switch),
    "root": ("root", _read_root),
    "output": ("output", _read_folder),
}
_PROCESS: Mapping[str, tuple[str, Reader]] = {
    "health": ("health", _read_health),
    "timeout": ("timeout_s", _read_seconds),
    "settle": ("settle_s", _read_seconds),
    "grace": ("grace_s", _read_seconds),
}
_DEPLOY: Mapping[str, tuple[str, Reader]] = {
    "port": ("port", _read_port),
    "host": ("host", _read_text),
}
