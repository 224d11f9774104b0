"""Changes between releases, as lines of a comparison."""

from trivet.model.config import ConfigChange


def process_lines(lines: tuple[str, ...]) -> str:
    """The differences of process types, one a line."""
    return "\n".join(lines) or "the same process types"


def config_lines(change: ConfigChange) -> str:
    """The keys of the config that differ, one a line: added, changed, removed."""
    marks = (("+", change.added), ("~", change.changed), ("-", change.removed))
    return "\n".join(f"{mark} {key}" for mark, keys in marks for key in keys) or "the same config"
