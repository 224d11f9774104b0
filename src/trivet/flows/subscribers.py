"""Subscribers: the URLs that are told of releases. Whoever owns the installation says which; no commit has a say in it:
docs/decisions/0013-hooks-and-notifications.md.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from trivet.errors import InputError
from trivet.flows.installation import Installation
from trivet.host import files, lock
from trivet.model.document import read_document, write_document
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.names import AppName, DeployName
from trivet.model.notification import Subscriber, make_secret, parse_url

_SECRET_BYTES = 32


@frozen
class _List:
    """All of them; `last` is the highest number that was ever given, since none is given twice."""

    subscribers: tuple[Subscriber, ...] = ()
    last: int = 0


def list_subscribers(home: Home) -> tuple[Subscriber, ...]:
    """All of them, in the order in which they were added. Raises: InvalidDocument, MachineError."""
    return _read(home).subscribers


def find_subscriber(home: Home, number: int) -> Subscriber:
    """The one of this number. Raises: InputError."""
    subscribers = list_subscribers(home)
    found = next((each for each in subscribers if each.number == number), None)
    if found is None:
        known = ", ".join(str(each.number) for each in subscribers)
        raise InputError(
            f"There is no notification {number}.",
            hint=f"There is: {known}." if known else "There is none: `trivet notify add URL` makes one.",
        )
    return found


def add_subscriber(installation: Installation, url: str, app: AppName | None, deploy: DeployName | None) -> Subscriber:
    """The URL is told of releases from now on, with a secret of its own. Raises: InputError."""
    url = parse_url(url)
    with _changing(installation):
        present = _read(installation.home)
        secret = make_secret(os.urandom(_SECRET_BYTES))
        added = Subscriber(present.last + 1, url, secret, app, deploy)
        _write(installation.home, _List((*present.subscribers, added), added.number))
    return added


def remove_subscriber(installation: Installation, number: int) -> Subscriber:
    """It is told nothing any more, nor what it was not told yet. Raises: InputError."""
    with _changing(installation):
        removed = find_subscriber(installation.home, number)
        present = _read(installation.home)
        left = tuple(each for each in present.subscribers if each.number != number)
        _write(installation.home, _List(left, present.last))
        files.remove_tree(installation.home.outbox(number))
    return removed


@contextmanager
def _changing(installation: Installation) -> Iterator[None]:
    with lock.hold(installation.home.notify_lock, str(installation.actor), wait=True, what="the notifications"):
        yield


def _read(home: Home) -> _List:
    try:
        content = home.subscribers.read_bytes()
    except FileNotFoundError:
        return _List()
    except OSError as error:
        raise files.refused(error, f"read {home.subscribers}") from error
    return read_document(_List, content, name=str(home.subscribers))


def _write(home: Home, content: _List) -> None:
    files.make_directories(home.subscribers.parent, mode=0o700)
    files.replace(home.subscribers, write_document(content).encode(), mode=0o600)
