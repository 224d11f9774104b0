"""Listening sockets that processes of an app have inherited: held here as well, so that they outlive all who use them.

Nothing is accepted from them. Their order, which only the supervisor understands, is kept with them.
"""

import os
from collections.abc import Mapping, Sequence

_MOST_AT_ONCE = 100  # descriptors go along, and a message takes 253

Place = tuple[str, str, int]
Json = dict[str, object]


class Kept:
    """The sockets by deploy and address (`Place`), each under a name; a name may stand for one that is not held here."""

    def __init__(self) -> None:
        self._sockets: dict[Place, dict[str, int]] = {}

    def keep(self, place: Place, names: Sequence[str], fresh: Mapping[str, int]) -> None:
        """These names are kept of the place, in this order, and no others; `fresh` has the descriptors of new ones."""
        before = self._sockets.pop(place, {})
        kept = {name: os.dup(fresh[name]) if name in fresh else before.pop(name, -1) for name in names}
        if kept:
            self._sockets[place] = kept
        for descriptor in before.values():
            if descriptor >= 0:
                os.close(descriptor)

    def listed(self, start: int) -> tuple[Json, Sequence[int]]:
        """Some of them from this one on, the descriptors of those that are held, and how many there are altogether."""
        entries = [(*place, name, fd) for place, kept in self._sockets.items() for name, fd in kept.items()]
        part = entries[start : start + _MOST_AT_ONCE]
        sockets = [
            {"deploy": deploy, "host": host, "port": port, "name": name, "held": fd >= 0}
            for deploy, host, port, name, fd in part
        ]
        return {"sockets": sockets, "count": len(entries)}, [fd for *_, fd in part if fd >= 0]
