"""A `.env` file as config changes, strictly: a line that cannot be read is an error with its number."""

import io

from trivet.errors import InvalidFile


def parse_dotenv(text: str, name: str) -> dict[str, str]:
    """Keys and values, quotes and multi-line values undone, `${…}` left as it stands. Raises: InvalidFile."""
    from dotenv.parser import parse_stream

    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key is not None and binding.value is None):
            raise InvalidFile(
                f"{name}:{binding.original.line}: this line cannot be read.",
                hint="Write KEY=value, KEY='value with spaces', or # and a comment. Nothing was changed.",
            )
        if binding.key in values:
            raise InvalidFile(
                f"{name}:{binding.original.line}: {binding.key} is given twice.",
                hint="Give each key once. Nothing was changed.",
            )
        if binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values
