"""What JSON says, checked where it is used. Not `typing.Any`: `typing` would cost the process half a megabyte."""

Json = dict[str, object]


def text(values: Json, key: str) -> str:
    """Raises: KeyError, TypeError; so do the others."""
    value = values[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is no text")
    return value


def number(values: Json, key: str) -> int:
    value = values[key]
    if not isinstance(value, int):
        raise TypeError(f"{key} is no number")
    return value


def many(values: Json, key: str) -> list[Json]:
    value = values[key]
    if not isinstance(value, list):
        raise TypeError(f"{key} is no list")
    return value


def texts(values: Json, key: str) -> list[str]:
    value = values[key]
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise TypeError(f"{key} is no list of texts")
    return value


def inner(values: Json, key: str) -> Json:
    value = values[key]
    if not isinstance(value, dict):
        raise TypeError(f"{key} is no object")
    return value
