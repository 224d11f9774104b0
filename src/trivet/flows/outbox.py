"""The outbox: messages that wait for their subscriber, each in a file until it was taken. What a command sends, it sends
within seconds, whatever the other side does; what is left, the next command tries again.

A subscriber's messages are sent by a process of their own, one after the other: a host that never answers keeps no other
waiting, and there is a moment at which it ends whatever a name server or a dripping answer does.
"""

import fcntl
import os
import select
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from trivet.errors import InvalidDocument
from trivet.host import clock, files, processes, spawn
from trivet.host.post import post
from trivet.model.document import read_document, write_document
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.notification import Message, Subscriber, sign

_PAUSES_S = (0.0, 1.0, 2.0)  # before each try of one command
_ANSWERS_WITHIN_S = 3.0
_ENDS_WITHIN_S = 8
_KEPT_S = 3 * 24 * 3600.0
_MOST_KEPT = 100


@frozen
class Left:
    """What was not delivered to a subscriber: how many messages wait, and why; how many were given up."""

    subscriber: Subscriber
    waiting: int
    failure: str
    given_up: int


def put(home: Home, subscriber: Subscriber, message: Message) -> None:
    """The message waits for the subscriber, on disk. Raises: MachineError."""
    folder = home.outbox(subscriber.number)
    files.make_directories(folder, mode=0o700)
    files.create_once(folder / f"{time.time_ns():020d}.json", write_document(message).encode(), mode=0o600)


def count_waiting(home: Home, subscriber: Subscriber) -> int:
    """How many messages wait for the subscriber."""
    return len(_waiting(home.outbox(subscriber.number)))


def send(home: Home, subscribers: Sequence[Subscriber]) -> tuple[Left, ...]:
    """What waits for these was sent or tried, within eight seconds; those that have not got all of it. Raises: OSError."""
    given_up = {each.number: _give_up(home.outbox(each.number)) for each in subscribers}
    due = [each for each in subscribers if count_waiting(home, each)]
    senders = [spawn.fork_off(partial(_send_all, home.outbox(each.number), each)) for each in due]
    until = time.monotonic() + _ENDS_WITHIN_S
    for sender in senders:
        _await_end(sender, until)
    left = (_left(home, each, given_up[each.number]) for each in subscribers)
    return tuple(each for each in left if each.waiting or each.given_up)


def _left(home: Home, subscriber: Subscriber, given_up: int) -> Left:
    waiting = _waiting(home.outbox(subscriber.number))
    first = _read(waiting[0]) if waiting else None
    failure = first.failure if first is not None else ""
    return Left(subscriber, len(waiting), failure or "no answer in time", given_up)


def _await_end(sender: int, until: float) -> None:
    poll = select.poll()
    poll.register(sender, select.POLLIN)
    try:
        poll.poll(max(0.0, until - time.monotonic()) * 1000)
    finally:
        processes.send_signal(sender, signal.SIGKILL)
        processes.exit_of(sender)
        os.close(sender)


def _send_all(folder: Path, subscriber: Subscriber) -> None:
    """In the sender: what waits is sent, oldest first. It ends by itself in time, also if whoever started it is gone."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_ENDS_WITHIN_S)
    with (folder / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        first = next(map(_read, _waiting(folder)), None)
        was_down = first is not None and first.attempts > 0
        for pause_s in _PAUSES_S[:1] if was_down else _PAUSES_S:
            time.sleep(pause_s)
            if all(_send(path, subscriber) for path in _waiting(folder)):
                return


def _send(path: Path, subscriber: Subscriber) -> bool:
    """Whether the message was taken; then it is gone, else it says what went wrong."""
    message = _read(path)
    if message is None:
        files.remove(path)
        return True
    body, at = message.body.encode(), int(clock.seconds_since_epoch())
    headers = {
        "content-type": "application/json",
        "user-agent": "trivet",
        "webhook-id": message.id,
        "webhook-timestamp": str(at),
        "webhook-signature": sign(subscriber.secret, message.id, at, body),
    }
    failure = post(subscriber.url, body, headers, _ANSWERS_WITHIN_S)
    if failure:
        tried = replace(message, attempts=message.attempts + 1, failure=failure)
        files.replace(path, write_document(tried).encode(), mode=0o600)
        return False
    files.remove(path)
    return True


def _give_up(folder: Path) -> int:
    """How many messages are gone that have waited for too long, or behind too many."""
    waiting = _waiting(folder)
    since = clock.seconds_since_epoch() - _KEPT_S
    old = [path for path in waiting if int(path.stem) / 1e9 < since]
    surplus = waiting[len(old) : max(len(old), len(waiting) - _MOST_KEPT)]
    for path in (*old, *surplus):
        path.unlink(missing_ok=True)
    return len(old) + len(surplus)


def _waiting(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.json") if path.stem.isdigit()) if folder.is_dir() else []


def _read(path: Path) -> Message | None:
    """The message; None if another command has just sent it, or somebody has made it unreadable."""
    try:
        return read_document(Message, path.read_bytes(), name=str(path))
    except (FileNotFoundError, InvalidDocument):
        return None
