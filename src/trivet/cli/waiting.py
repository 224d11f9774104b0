"""Waiting for something to look at: until a descriptor is readable, a key was pressed, or nobody reads any more."""

import select
from typing import TextIO


def is_read(output: TextIO) -> bool:
    """Whether somebody may still read what is written there: the other end of a pipe is not closed."""
    return not _poll(0.0, (output.fileno(), 0))


def wait(*descriptors: int, output: TextIO, timeout_s: float | None = None) -> tuple[int, ...]:
    """The descriptors that are readable, once one is, or nobody reads the output any more, or the time is over."""
    ready = _poll(timeout_s, (output.fileno(), 0), *((descriptor, select.POLLIN) for descriptor in descriptors))
    return tuple(descriptor for descriptor in descriptors if descriptor in ready)


def _poll(timeout_s: float | None, *wanted: tuple[int, int]) -> dict[int, int]:
    poll = select.poll()
    for descriptor, events in wanted:
        poll.register(descriptor, events)  # without events, a descriptor is told of when its other end is gone
    return dict(poll.poll(None if timeout_s is None else timeout_s * 1000))
