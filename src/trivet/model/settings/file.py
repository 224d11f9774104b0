"""The settings file as text: where each setting stands in it, and the readers that every table of it needs."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping

from trivet.errors import InvalidFile, InvalidName
from trivet.model.frozen import frozen

FILE = "trivet.toml"

_LONGEST_S = 24 * 3600.0

Place = tuple[str, ...]
Reader = Callable[["SettingsFile", Place, object], object]


def invalid_setting(text: str, place: Place, why: str, hint: str) -> InvalidFile:
    """The error for a setting that can be read and yet is wrong; it starts with the file and the line of `place`."""
    return SettingsFile(text).error(place, why, hint)


def suggestion(name: str, known: Iterable[str]) -> str:
    """What may have been meant: "Did you mean 'health'?", or else all that there is."""
    import difflib  # only a mistake needs it, and it costs 5 ms

    names = list(known)
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"There is: {', '.join(names)}." if names else "There is none."


@frozen
class SettingsFile:
    """The text of the file, which knows in which line a setting stands."""

    text: str

    def error(self, place: Place, why: str, hint: str) -> InvalidFile:
        """The error for a setting of this file; it starts with the file and the line."""
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


def parse_toml(file: SettingsFile) -> dict[str, object]:
    """The file as TOML. Raises: InvalidFile, with the line."""
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


def read_table(
    file: SettingsFile, place: Place, data: object, readers: Mapping[str, tuple[str, Reader]]
) -> dict[str, object]:
    """What the readers make of the table, by the names of its values; there may be no other. Raises: InvalidFile."""
    values = {}
    for key, value in table_of(file, place, data).items():
        if key not in readers:
            where = f" in [{'.'.join(place)}]" if place else ""
            raise file.error((*place, key), f"unknown setting {key!r}{where}.", suggestion(key, readers))
        name, reader = readers[key]
        values[name] = reader(file, (*place, key), value)
    return values


def table_of(file: SettingsFile, place: Place, data: object) -> dict[str, object]:
    """The table that must stand here. Raises: InvalidFile."""
    if not isinstance(data, dict):
        raise mistyped(file, place, data, "a table", f"[{'.'.join(place)}]")
    return data


def read_text(file: SettingsFile, place: Place, data: object) -> str:
    """The text that must stand here; it is not empty. Raises: InvalidFile."""
    if not isinstance(data, str) or not data:
        raise mistyped(file, place, data, "text in quotes", f'{place[-1]} = "…"')
    return data


def read_switch(file: SettingsFile, place: Place, data: object) -> bool:
    """The true or false that must stand here. Raises: InvalidFile."""
    if not isinstance(data, bool):
        raise mistyped(file, place, data, "true or false", f"{place[-1]} = true")
    return data


def read_seconds(file: SettingsFile, place: Place, data: object) -> float:
    """The seconds; a day at most. Raises: InvalidFile."""
    if isinstance(data, bool) or not isinstance(data, int | float) or not 0 < data <= _LONGEST_S:
        raise mistyped(file, place, data, "a number of seconds above 0", f"{place[-1]} = 30")
    return float(data)


def read_name(file: SettingsFile, place: Place, parse: Callable[[str], str]) -> str:
    """The last part of the place, which must be a name. Raises: InvalidFile."""
    try:
        return parse(place[-1])
    except InvalidName as error:
        raise file.error(place, error.message, error.hint) from error


def mistyped(file: SettingsFile, place: Place, data: object, expected: str, example: str) -> InvalidFile:
    """The error for a setting that is something else than expected."""
    shown = {True: "true", False: "false"}[data] if isinstance(data, bool) else repr(data)
    return file.error(place, f"{place[-1]} must be {expected}, not {shown}.", f"Write it like this: {example}")


def _split(dotted: str) -> Place:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
