"""Notify: whoever subscribed is told what became of a release. Nothing that goes wrong with it fails the release."""

import os
from collections.abc import Mapping, Sequence

from trivet.errors import InputError, NotDelivered, TrivetError
from trivet.flows.installation import Installation, Progress, refusal
from trivet.flows.outbox import Left, put, send
from trivet.flows.subscribers import find_subscriber, list_subscribers
from trivet.host.clock import now
from trivet.model.checkpoint import Checkpoint
from trivet.model.document import canonical
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.notification import Message, Subscriber
from trivet.model.release import Outcome, Record, Release, State
from trivet.model.run import Address

_TEST = "notify.test"
_KINDS = {State.SUCCEEDED: "release.succeeded", State.FAILED: "release.failed"}


@frozen
class News:
    """What became of a release: all that a notification says is in it. `before` is the good release before it.

    `checkpoint` is the ledger's with all of it; None if it could not be written.
    """

    release: Release
    outcome: Outcome
    before: Record | None = None
    address: Address | None = None
    checkpoint: Checkpoint | None = None


def queue(installation: Installation, news: News, progress: Progress) -> None:
    """The news waits, on disk, for all that want it; `deliver` sends it. A refusal of the machine is a notice."""
    try:
        _queue(installation, news)
    except (TrivetError, OSError) as error:
        progress.notice(f"nobody will be notified of {news.release.name}: {error}")


def deliver(installation: Installation, deploy: Deploy, progress: Progress) -> None:
    """What waits for those that want news of the deploy was sent, or tried for some seconds; what is left is told."""
    try:
        for left in send(installation.home, _subscribers(installation, deploy)):
            _tell(left, progress)
    except (TrivetError, OSError) as error:
        progress.notice(f"notifications could not be sent: {error}; the next release tries again")


def send_test(installation: Installation, number: int | None) -> tuple[Subscriber, ...]:
    """All (or the one of this number) have taken a test, and what else had waited for them. Raises: InputError, NotDelivered."""
    home = installation.home
    chosen = list_subscribers(home) if number is None else (find_subscriber(home, number),)
    if not chosen:
        raise InputError("Nobody is notified.", hint="Add a URL first: trivet notify add URL")
    for each in chosen:
        put(home, each, _message(_TEST, {"host": installation.actor.host, "actor": str(installation.actor)}))
    try:
        left = [each for each in send(home, chosen) if each.waiting]
    except OSError as error:
        raise refusal(error) from error
    if left:
        raise NotDelivered(
            _told(left[0]),
            hint="It waits, and goes out with the next release or test. Is the URL right, and does its host answer?",
            detail=tuple(_told(each) for each in left[1:]),
        )
    return chosen


def _queue(installation: Installation, news: News) -> None:
    subscribers = _subscribers(installation, news.release.deploy)
    if subscribers:
        message = _message(_KINDS[news.outcome.state], _facts(news))
        for each in subscribers:
            put(installation.home, each, message)


def _subscribers(installation: Installation, deploy: Deploy) -> Sequence[Subscriber]:
    return [each for each in list_subscribers(installation.home) if each.wants(deploy)]


def _message(kind: str, facts: Mapping[str, object]) -> Message:
    at = now()
    body = canonical({"type": kind, "timestamp": at, "data": facts})
    return Message(f"msg_{os.urandom(12).hex()}", kind, at, body)


def _facts(news: News) -> Mapping[str, object]:
    """The same name for the same fact as in `--json`; no config value, and nothing that the app wrote."""
    release, source = news.release, news.release.build.source
    return {
        "app": release.deploy.app,
        "deploy": release.deploy.name,
        "release": release.number,
        "state": news.outcome.state,
        "failure": news.outcome.reason or None,
        "cause": release.cause,
        "reason": release.reason,
        "actor": str(release.actor),
        "created_at": release.created_at,
        "build": release.build.id,
        "commit": source.commit,
        "subject": source.subject,
        "author": source.author,
        "config_version": release.config_version,
        "schema": news.outcome.schema,
        "previous": news.before.release.number if news.before is not None else None,
        "previous_commit": news.before.release.build.source.commit if news.before is not None else None,
        "address": news.address.url if news.address is not None else None,
    }


def _tell(left: Left, progress: Progress) -> None:
    if left.waiting:
        progress.notice(f"{_told(left)}; the next release tries again")
    if left.given_up:
        what = "1 notification" if left.given_up == 1 else f"{left.given_up} notifications"
        progress.notice(f"{what} to {left.subscriber.shown} had waited for too long and will not be sent")


def _told(left: Left) -> str:
    what = "1 notification waits" if left.waiting == 1 else f"{left.waiting} notifications wait"
    return f"{what} for {left.subscriber.shown} ({left.failure})"
