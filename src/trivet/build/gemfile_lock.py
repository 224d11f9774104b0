"""Gemfile.lock: which gems are locked, and from where. It is read instead of Gemfile, which is a program of the app.

The format: https://github.com/rubygems/rubygems/blob/master/bundler/lib/bundler/lockfile_parser.rb
"""

import re

from trivet.model.frozen import frozen

_SPEC = re.compile(r" {4}(?P<name>\S+) \((?P<version>[^-)]+)(?:-(?P<platform>[^)]+))?\)")


@frozen
class LockedGem:
    """A gem of one version; of each platform there may be one. "" is the one that every platform can build."""

    name: str
    version: str
    platform: str


@frozen
class GemfileLock:
    """`gems` by the address that they come from; `kinds` are the sections that name gems: GEM, GIT, PATH."""

    gems: dict[str, tuple[LockedGem, ...]]
    kinds: frozenset[str]
    names: frozenset[str]

    def has(self, *names: str) -> bool:
        """Whether one of the gems is locked."""
        return not self.names.isdisjoint(names)


def parse_gemfile_lock(text: str) -> GemfileLock:
    """What the text of a Gemfile.lock says."""
    section, remote = "", ""
    kinds: set[str] = set()
    names: set[str] = set()
    gems: dict[str, tuple[LockedGem, ...]] = {}
    for line in text.splitlines():
        if re.match(r"[A-Z]", line):
            section, remote = line.strip(), ""
        elif line.startswith("  remote: "):
            remote = remote or line.removeprefix("  remote: ").strip()
        elif match := _SPEC.fullmatch(line):
            kinds.add(section)
            names.add(match["name"])
            if section == "GEM":
                gem = LockedGem(match["name"], match["version"], match["platform"] or "")
                gems[remote] = (*gems.get(remote, ()), gem)
    return GemfileLock(gems, frozenset(kinds), frozenset(names))
