"""The log, read from its first entry to its last: each is what was written, and stands where it was written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from trivet.model.verification import Fault
from trivet.release.entry import BODIES, Entry, Kind, entry_hash
from trivet.release.merkle import NO_PEAKS, grow

_JSON = json.JSONDecoder()  # its raw_decode alone: half of what json.loads takes goes into looking for blanks
_ONCE = frozenset((Kind.RELEASE, Kind.ROLL_OUT, Kind.OUTCOME, Kind.SUPERSEDED))
_FIELDS = {kind.value: frozenset(each.name for each in fields(body)) for kind, body in BODIES.items()}  # type: ignore[arg-type]


@dataclass(slots=True)
class _Told:
    """What the entries read so far say of a deploy: its last release, and which numbers have an entry of which kind."""

    last: int = 0
    numbers: dict[str, set[int]] = field(default_factory=dict)


class Reader:
    """Reads entries in order. `position` and `peaks` tell how far it has come, `body` what the last one's says, as JSON."""

    def __init__(self) -> None:
        self.position = 0
        self.peaks = NO_PEAKS
        self.body: Mapping[str, Any] = {}
        self._deploys: dict[tuple[str, str], _Told] = {}

    def read(self, entry: Entry) -> Fault | None:
        """The entry is read if nothing is wrong with it."""
        expected = self.position + 1
        if entry.position > expected:
            return Fault(expected, "it is missing")
        reason = self._own_fault(entry) or self._number_fault(entry)
        if reason:
            return Fault(entry.position, reason, entry.app, entry.deploy, entry.number or None)
        self.position, self.peaks = entry.position, entry.peaks
        return None

    def _own_fault(self, entry: Entry) -> str | None:
        leaf = entry_hash(entry.position, entry.app, entry.deploy, entry.kind, entry.number, entry.at, entry.body)
        if entry.hash != leaf:
            return "it is not what was written: its hash does not fit"
        if entry.position != self.position + 1:
            return "it has no place among the others"
        if entry.peaks != grow(self.peaks, self.position, leaf):
            return "it does not follow on the entries before"
        try:
            body, end = _JSON.raw_decode(entry.body)
        except ValueError:
            return "it cannot be read"
        if not isinstance(body, dict) or end != len(entry.body) or body.keys() != _FIELDS.get(entry.kind):
            return "it cannot be read"
        self.body = body
        if entry.kind == Kind.RELEASE and not _is_about(body["release"], entry):
            return "it holds another release"
        return None

    def _number_fault(self, entry: Entry) -> str | None:
        key = (entry.app, entry.deploy)
        told = self._deploys.get(key) or self._deploys.setdefault(key, _Told())
        if entry.kind == Kind.RELEASE or entry.kind == Kind.DESTROYED:
            expected = told.last + (entry.kind == Kind.RELEASE)
            if entry.number != expected:
                return f"its number should be {expected}"
            told.last = expected
        elif (entry.number or entry.deploy) and not 1 <= entry.number <= told.last:
            return "it is about a release that is not there"
        if entry.kind in _ONCE:
            numbers = told.numbers.setdefault(entry.kind, set())
            if entry.number in numbers:
                return f"it is a second entry of the kind {entry.kind}"
            numbers.add(entry.number)
        return None


def _is_about(release: object, entry: Entry) -> bool:
    if not isinstance(release, dict):
        return False
    return (release.get("deploy"), release.get("number")) == ({"app": entry.app, "name": entry.deploy}, entry.number)
