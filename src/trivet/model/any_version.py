"""JSON data that another version of Trivet may have made: what this one does not know of it is left out.

For what the run stage keeps and says. What the ledger speaks of is read strictly (`document.py`).
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from trivet.model.document import field_types, from_json, load_json

T = TypeVar("T")


def read_any_version(kind: type[T], text: str | bytes, *, name: str) -> T:
    """As `read_document`, but for fields that the type does not have. Raises: InvalidDocument."""
    return from_any_version(kind, load_json(text, name=name), name=name)


def from_any_version(kind: type[T], data: object, *, name: str) -> T:
    """As `from_json`, but for fields that the type does not have. Raises: InvalidDocument."""
    return from_json(kind, _known(kind, data), name=name)


def _known(kind: Any, data: object) -> object:
    """The data without such fields; what is not of the type at all stays, to be refused."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _known(next(option for option in inner if option is not type(None)), data)
    if origin is tuple and isinstance(data, list):
        return [_known(inner[0], item) for item in data]
    if not isinstance(data, dict):
        return data
    if origin is not None and issubclass(origin, Mapping):
        return {key: _known(inner[1], item) for key, item in data.items()}
    if dataclasses.is_dataclass(kind):
        hints = field_types(typing.cast("type", kind))
        names = {field.name for field in dataclasses.fields(kind)}
        return {key: _known(hints[key], item) for key, item in data.items() if key in names}
    return data
