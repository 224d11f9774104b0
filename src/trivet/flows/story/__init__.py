"""The story of an app, told from what each stage has on record. Pure: who reads the records is `flows.log`."""

from collections.abc import Iterable

from trivet.model.story import Line, Window


def merge(lines: Iterable[Line], window: Window) -> tuple[Line, ...]:
    """The lines that are wanted, newest first."""
    shown = sorted(
        (line for line in lines if window.shows(line.deploy, line.at)), key=lambda line: line.at, reverse=True
    )
    return tuple(shown[: window.limit])
