"""What this process does, as Python's own audit events tell it: work that can be counted, where time cannot be trusted."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

Told = list[tuple[object, ...]]

_watching: list[
    tuple[str, int, Told]
] = []  # an audit hook stays for ever: there is one, installed by the first watcher
_installed: list[bool] = []


@contextmanager
def watched(event: str) -> Iterator[Told]:
    """The arguments of every such event of this thread inside the block. https://docs.python.org/3/library/audit_events.html"""
    if not _installed:
        sys.addaudithook(_hook)
        _installed.append(True)
    told: Told = []
    entry = (event, threading.get_ident(), told)
    _watching.append(entry)
    try:
        yield told
    finally:
        _watching.remove(entry)


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    for wanted, thread, told in _watching:
        if event == wanted and threading.get_ident() == thread:
            told.append(arguments)
