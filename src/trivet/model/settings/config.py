"""`[config]`: which keys of config the app needs, each in a table of its own or in one word."""

from collections.abc import Mapping

from trivet.errors import ConfigError
from trivet.model.declaration import Declaration, ValueType, fits
from trivet.model.names import parse_variable
from trivet.model.settings.file import (
    Place,
    Reader,
    SettingsFile,
    mistyped,
    read_switch,
    read_table,
    read_text,
    suggestion,
    table_of,
)

_WORDS: Mapping[str, Mapping[str, object]] = {
    "required": {},
    "optional": {"is_required": False},
    "generated": {"is_required": False, "is_generated": True, "secret": True},
}


def read_config(file: SettingsFile, place: Place, data: object) -> tuple[Declaration, ...]:
    """What the table declares, in its order."""
    return tuple(_read_key(file, (*place, key), value) for key, value in table_of(file, place, data).items())


def _read_key(file: SettingsFile, place: Place, data: object) -> Declaration:
    key = _read_name(file, place)
    if isinstance(data, str):
        return Declaration(key, **_read_word(file, place, data))  # type: ignore[arg-type]
    if not isinstance(data, dict):
        raise mistyped(file, place, data, "a word or a table", f'{key} = "required", or [config.{key}]')
    found = read_table(file, place, data, _KEY)
    _check_together(file, place, found)
    if found.get("default") is not None:
        _check_default(file, place, found)
    has_value = "default" in found or "is_generated" in found
    return Declaration(key, **{"is_required": not has_value, **found})  # type: ignore[arg-type]


def _read_name(file: SettingsFile, place: Place) -> str:
    try:
        return parse_variable(place[-1])
    except ConfigError as error:
        raise file.error(place, error.message, error.hint) from error


def _read_word(file: SettingsFile, place: Place, word: str) -> Mapping[str, object]:
    if word not in _WORDS:
        raise file.error(place, f"{place[-1]} is declared {word!r}, which is no such word.", suggestion(word, _WORDS))
    return _WORDS[word]


def _check_together(file: SettingsFile, place: Place, found: dict[str, object]) -> None:
    """What is said of a key does not contradict itself. Raises: InvalidFile."""
    key = place[-1]
    for is_wrong, setting, why, hint in (
        (
            "default" in found and "is_generated" in found,
            "generate",
            f"{key} has a default, so no value is ever generated for it.",
            "Leave one of the two out.",
        ),
        (
            "default" in found and found.get("is_required") is True,
            "required",
            f"{key} has a default, so it is never missing.",
            "Leave one of the two out.",
        ),
        (
            "default" in found and found.get("secret") is True,
            "default",
            f"{key} is a secret, and its default stands in the repository for everybody to read.",
            'Leave the default out, or have a value made: generate = "secret"',
        ),
        (
            "is_generated" in found and found.get("value_type", ValueType.TEXT) is not ValueType.TEXT,
            "type",
            f"{key} is generated, and what is generated is text.",
            "Leave one of the two out.",
        ),
    ):
        if is_wrong:
            raise file.error((*place, setting), why, hint)
    if "is_generated" in found:
        found.setdefault("secret", True)


def _check_default(file: SettingsFile, place: Place, found: Mapping[str, object]) -> None:
    value_type = ValueType(str(found.get("value_type", ValueType.TEXT)))
    if not fits(str(found["default"]), value_type):
        raise file.error(
            (*place, "default"),
            f"the default of {place[-1]} is not of its type, {value_type.value}.",
            "docs/reference/trivet-toml.md says what each type takes.",
        )


def _read_type(file: SettingsFile, place: Place, data: object) -> ValueType:
    if not isinstance(data, str) or data not in list(ValueType):
        raise file.error(
            place, f"{data!r} is no type of a value.", suggestion(str(data), [each.value for each in ValueType])
        )
    return ValueType(data)


def _read_default(file: SettingsFile, place: Place, data: object) -> str:
    if isinstance(data, bool):
        return "true" if data else "false"
    if not isinstance(data, str | int | float) or "\0" in str(data):
        raise mistyped(file, place, data, "text, a number, true or false", 'default = "…"')
    return str(data)


def _read_generate(file: SettingsFile, place: Place, data: object) -> bool:
    if data != "secret":
        raise mistyped(file, place, data, "what is to be generated", 'generate = "secret"')
    return True


_KEY: Mapping[str, tuple[str, Reader]] = {
    "required": ("is_required", read_switch),
    "type": ("value_type", _read_type),
    "default": ("default", _read_default),
    "generate": ("is_generated", _read_generate),
    "secret": ("secret", read_switch),
    "live": ("live", read_switch),
    "description": ("description", read_text),
}
