"""Declarations: what an app says of the config that it needs, in `[config]` of its `trivet.toml`."""

import json
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

from trivet.model.frozen import frozen


class ValueType(StrEnum):
    """What the value of a key must be; a value is text to the environment, whatever it stands for."""

    TEXT = "text"
    URL = "url"
    INT = "int"
    NUMBER = "number"
    BOOL = "bool"
    PORT = "port"
    EMAIL = "email"
    JSON = "json"


@frozen
class Declaration:
    """What is declared of one config key.

    `default` is the value that the app's processes have where the config has none; it is never config. `is_generated`: a
    release that lacks the key gives it a random value, which is config from then on. `secret` and `live` are the marks
    that the key gets.
    """

    key: str
    value_type: ValueType = ValueType.TEXT
    is_required: bool = True
    default: str | None = None
    is_generated: bool = False
    secret: bool = False
    live: bool = False
    description: str = ""


_PATTERNS: Mapping[ValueType, str] = {
    ValueType.URL: r"[A-Za-z][A-Za-z0-9+.-]*://\S+",
    ValueType.INT: r"[+-]?[0-9]+",
    ValueType.NUMBER: r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?",
    ValueType.BOOL: r"(?i:true|false|yes|no|on|off|1|0)",
    ValueType.PORT: r"[1-9][0-9]{0,4}",
    ValueType.EMAIL: r"[^@\s]+@[^@\s]+",
}


def fits(value: str, value_type: ValueType) -> bool:
    """Whether the text is a value of the type. A url has a scheme and `://`; a bool is true, yes, on or 1, or the like."""
    if value_type is ValueType.JSON:
        return _is_json(value)
    pattern = _PATTERNS.get(value_type)
    is_one = pattern is None or re.fullmatch(pattern, value) is not None
    return is_one and (value_type is not ValueType.PORT or int(value) < 65536)


def defaults(declarations: Iterable[Declaration]) -> Mapping[str, str]:
    """The values that keys have where the config has none."""
    return {each.key: each.default for each in declarations if each.default is not None}


def _is_json(value: str) -> bool:
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return False
    return True
