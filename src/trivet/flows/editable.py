"""A config as text for an editor, and the changes that an edited text stands for. Pure."""

import re
from collections.abc import Mapping

from trivet.errors import ConfigError
from trivet.flows.dotenv import parse_dotenv
from trivet.model.config import Config, parse_config
from trivet.model.names import Deploy

UNCHANGED = "<unchanged>"

_HEADER = """\
# The config of {deploy}: KEY=value, quotes where need be. Take a line away to take its key away.
# {unchanged} stands for a value that is not shown; write another one in its place to change it.
# Save it, and all changes become one release. To change nothing, save nothing, or an empty file.

"""
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=?&~^!*()\[\]{}<>|;$-]*")


def write_editable(deploy: Deploy, config: Config) -> str:
    """The text: secret values stand in it as UNCHANGED, and so do those that no line of it could hold."""
    header = _HEADER.format(deploy=deploy, unchanged=UNCHANGED)
    lines = (f"{key}={UNCHANGED if key in config.secret else _quote(value)}\n" for key, value in config.values.items())
    return header + "".join(lines)


def read_editable(text: str, config: Config, name: str) -> Mapping[str, str | None]:
    """The changes that the text stands for against the config that it was written from; none if it says nothing at all.

    Raises: InvalidFile, ConfigError.
    """
    values = parse_dotenv(text, name)
    if not values:
        return {}
    parse_config(values)
    kept = {key for key, value in values.items() if value == UNCHANGED}
    if unknown := sorted(kept - config.values.keys()):
        raise ConfigError(
            f"{', '.join(unknown)} {'has' if len(unknown) == 1 else 'have'} no value that could stay unchanged.",
            hint=f"Write a value in place of {UNCHANGED}. Nothing was changed.",
        )
    set_ = {key: value for key, value in values.items() if key not in kept and config.values.get(key) != value}
    return {**set_, **dict.fromkeys(key for key in config.values if key not in values)}


def _quote(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    if value.endswith("\\") or not all(letter.isprintable() or letter in "\n\t" for letter in value):
        return UNCHANGED
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
