"""Changes between releases, as lines of a comparison."""

from collections.abc import Mapping

from trivet.model.config import ConfigChange, Fate
from trivet.model.plan import SchemaMove

_FATES = {
    Fate.GOES_BACK: "~ {key} goes back to its value of {release}",
    Fate.KEEPS: "= {key} keeps its present value (live)",
    Fate.TAKEN_AWAY: "- {key} is taken away",
    Fate.COMES_BACK: "+ {key} comes back as it was in {release}",
}


def process_lines(lines: tuple[str, ...]) -> str:
    """The differences of process types, one a line."""
    return "\n".join(lines) or "the same process types"


def config_lines(change: ConfigChange) -> str:
    """The keys of the config that differ, one a line: added, changed, removed, marked otherwise."""
    marks = (("+", change.added), ("~", change.changed), ("-", change.removed))
    lines = [f"{mark} {key}" for mark, keys in marks for key in keys]
    return "\n".join((*lines, *(f"* {text}" for text in mark_texts(change)))) or "the same config"


def mark_texts(change: ConfigChange) -> tuple[str, ...]:
    """The marks that keys have from now on, where they had others: "TOKEN is secret, live", "DEBUG has no mark"."""
    return tuple(
        f"{key} is {', '.join(marks)}" if marks else f"{key} has no mark" for key, marks in change.marks.items()
    )


def fate_lines(fates: Mapping[str, Fate], release: str) -> str:
    """What a rollback to the release does to each key, one a line; keys that stay as they are, left out."""
    return "\n".join(_FATES[fate].format(key=key, release=release) for key, fate in fates.items()) or "the same config"


def schema_line(move: SchemaMove) -> str:
    """Whether the code that comes back meets the schema that it knows; "" if nobody knows."""
    if move.is_change:
        return f"! the database has {move.now} since {move.since}, this code was released with {move.then}"
    return f"the same schema ({move.now})" if move.now is not None else ""
