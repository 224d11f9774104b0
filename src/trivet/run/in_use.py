"""Which builds are in use: what runs, what would after a start, and what an old process or a one-off still works with."""

import re
from collections.abc import Iterator, Mapping

from trivet.errors import InvalidDocument, InvalidName
from trivet.model.home import Home
from trivet.model.names import AppName, Deploy, parse_deploy
from trivet.run import desired
from trivet.run.released import current_release, read_release
from trivet.run.supervisor import intent as intents
from trivet.run.supervisor import status, strays

_RELEASE = re.compile(r"v([1-9][0-9]{0,8})")


def find_builds(home: Home) -> frozenset[tuple[AppName, str]]:
    """App and id of each build in use. Raises: InvalidDocument, UnknownRelease, MachineError."""
    deploys = desired.find_deploys(home)
    releases = {(deploy, number) for deploy in deploys for number in _numbers(home, deploy)}
    releases |= {each for each in _with_processes(home) if each[0] in deploys}
    builds = (read_release(home, deploy, number).build for deploy, number in releases)
    return frozenset((build.app, build.id) for build in builds)


def find_fallbacks(home: Home) -> Mapping[Deploy, int]:
    """The release that each deploy may go back to, of those in a change. Raises: MachineError."""
    found = ((deploy, find_fallback(home, deploy)) for deploy in desired.find_deploys(home))
    return {deploy: number for deploy, number in found if number is not None}


def find_fallback(home: Home, deploy: Deploy) -> int | None:
    """The release that a change, in flight or interrupted, may go back to. Raises: MachineError."""
    try:
        intent = intents.read(home.run(deploy) / "intent.json")
    except InvalidDocument:  # it counts as absent, for the supervisor too
        return None
    return intent.before if intent is not None else None


def _numbers(home: Home, deploy: Deploy) -> Iterator[int]:
    current = current_release(home, deploy)
    if current is not None:
        yield current
    if (before := find_fallback(home, deploy)) is not None:
        yield before
    yield from (each.release for each in status.read_all(home.run(deploy) / "status"))


def _with_processes(home: Home) -> Iterator[tuple[Deploy, int]]:
    for stray in strays.find_all(home):
        release = _RELEASE.fullmatch(stray.release)
        try:
            deploy = parse_deploy(stray.deploy)
        except InvalidName:
            continue
        if release is not None:
            yield deploy, int(release[1])
