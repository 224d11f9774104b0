"""What the release stage has to tell: releases and what became of them, pins, prunes, the end of deploys."""

from collections.abc import Iterable
from functools import partial

from trivet.model.names import AppName
from trivet.model.pruning import Pruned
from trivet.model.release import Act, Cause, Outcome, Release, State
from trivet.model.story import Line, Topic, Window
from trivet.release import DestroyedBody, Entry, Kind, OutcomeBody, PinBody, PrunedBody, ReleaseBody, read_body

_TOPICS = {
    State.SUCCEEDED: Topic.RELEASE,
    State.FAILED: Topic.RELEASE_FAILED,
    State.PENDING: Topic.RELEASE_PENDING,
}
_PENDING = Outcome(State.PENDING)


def tell_entries(newest_first: Iterable[Entry], window: Window) -> tuple[Line, ...]:
    """The lines within the window. Only as many entries are read as that takes.

    A release is one line, told when its outcome was known; so an outcome, which is read first, waits for its release.
    """
    lines: list[Line] = []
    outcomes: dict[tuple[str, int], tuple[str, Outcome]] = {}
    for entry in newest_first:
        if window.is_full(len(lines), entry.at) and not outcomes:
            break
        body = read_body(entry)
        if isinstance(body, OutcomeBody):
            outcomes[entry.deploy, entry.number] = (entry.at, body.outcome)
        elif isinstance(body, ReleaseBody):
            at, outcome = outcomes.pop((entry.deploy, entry.number), (entry.at, _PENDING))
            lines.append(_tell_release(body.release, at, outcome))
        elif (line := _tell_other(entry, body)) is not None:
            lines.append(line)
    return tuple(line for line in lines if window.shows(line.deploy, line.at))


def _tell_release(release: Release, at: str, outcome: Outcome) -> Line:
    source = release.build.source
    return Line(
        at,
        release.deploy.app,
        _TOPICS[outcome.state],
        _told(release, outcome),
        deploy=release.deploy.name,
        act=release.act,
        release=release.number,
        build=release.build.id,
        commit=source.commit,
        subject=source.subject,
        origin=release.origin,
        failure=outcome.reason or None,
    )


def _told(release: Release, outcome: Outcome) -> str:
    why = f"{release.reason}{_beyond(release)}"
    if outcome.state is State.FAILED:
        failure = outcome.reason.removeprefix(f"{release.name} did not come up: ").rstrip(".")
        told = failure if failure.startswith(f"{release.name} failed ") else f"{release.name} failed: {failure}"
        return f"{told} ({why})"
    return f"{release.name} {'released' if outcome.state is State.SUCCEEDED else 'pending'}: {why}"


def _beyond(release: Release) -> str:
    """What a reason that somebody gave leaves out."""
    origin, source = release.origin, release.build.source
    if origin is not None and f"v{origin.number}" not in release.reason:
        back = "back to" if release.cause is Cause.ROLLBACK else f"from {origin.deploy.name}"
        return f", {back} v{origin.number}"
    keys = release.config_change
    names = (*keys.added, *keys.changed, *keys.removed)
    if release.cause is Cause.CONFIG and not all(name in release.reason for name in names):
        return f", config {', '.join(names)}"
    if release.cause is Cause.DEPLOY and source.short not in release.reason:
        return f", {source.short} {source.subject}"
    return ""


def _tell_other(entry: Entry, body: object) -> Line | None:
    line = partial(Line, entry.at, AppName(entry.app), deploy=entry.deploy or None)
    name = f"v{entry.number}"
    if isinstance(body, PinBody):
        topic, done = (Topic.PIN, "pinned") if entry.kind == Kind.PINNED else (Topic.UNPIN, "unpinned")
        told = f"{name} {done}{_why(body.act, f'{topic} {name}')}"
        return line(topic, told, act=body.act, release=entry.number)
    if isinstance(body, PrunedBody):
        pruned = Pruned(body.changes, body.leftovers_bytes)
        told = f"pruned {pruned.told}{_why(body.act, 'prune')}"
        return line(Topic.PRUNE, told, act=body.act, freed_bytes=pruned.freed_bytes)
    if isinstance(body, DestroyedBody):
        return line(Topic.DESTROY, f"destroyed{_why(body.act, f'destroy {entry.app}')}", act=body.act)
    return None


def _why(act: Act, by_default: str) -> str:
    return f": {act.reason}" if act.reason not in ("", by_default) else ""
