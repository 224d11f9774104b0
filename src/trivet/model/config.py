"""Config: the environment variables of a deploy. Secrets are config, so a value never shows in a repr."""

from collections.abc import Collection, Mapping
from dataclasses import field
from enum import StrEnum

from trivet.errors import ConfigError
from trivet.model.frozen import frozen
from trivet.model.names import parse_variable

_ENCODE_IT = "Encode it, for example with base64, and decode it in the app."


@frozen
class Marking:
    """Which keys get a mark (True) and which lose it (False); what is not named keeps the marks that it has."""

    secret: Mapping[str, bool] = field(default_factory=dict)
    live: Mapping[str, bool] = field(default_factory=dict)

    @property
    def keys(self) -> frozenset[str]:
        return frozenset((*self.secret, *self.live))


_NO_MARKING = Marking()


@frozen
class Config:
    """Keys and values; the values stay out of repr, of errors and of the ledger.

    `secret` are the keys whose values are never shown again, `live` those that keep their present value in a rollback;
    both sorted, and all of them keys of `values`.
    """

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret: tuple[str, ...] = ()
    live: tuple[str, ...] = ()

    def changed(self, changes: Mapping[str, str | None], marking: Marking = _NO_MARKING) -> "Config":
        """A config with these keys set and marked; None takes a key away, and its marks with it."""
        merged: dict[str, str | None] = {**self.values, **changes}
        values = {key: value for key, value in sorted(merged.items()) if value is not None}
        return Config(
            values, _mark(self.secret, marking.secret, within=values), _mark(self.live, marking.live, within=values)
        )

    def marks(self, key: str) -> tuple[str, ...]:
        """The names of the marks that the key has."""
        return tuple(name for name, keys in (("secret", self.secret), ("live", self.live)) if key in keys)


def _mark(marked: tuple[str, ...], marking: Mapping[str, bool], *, within: Collection[str]) -> tuple[str, ...]:
    all_marked = {**dict.fromkeys(marked, True), **marking}
    return tuple(sorted(key for key, has in all_marked.items() if has and key in within))


@frozen
class ConfigVersion:
    """A config as it was stored: numbered from 1 in each deploy; version 0 is the empty config before any was set."""

    version: int
    config: Config


@frozen
class ConfigChange:
    """Which keys differ between two configs: names only.

    `marks` are the marks that keys of the new config have ("secret", "live"), where they had others before.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    marks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed or self.marks)


def compare(old: Config, new: Config) -> ConfigChange:
    """The keys that were added, changed, removed and marked otherwise from old to new."""
    before, after = old.values, new.values
    return ConfigChange(
        added=tuple(sorted(after.keys() - before.keys())),
        changed=tuple(sorted(key for key in before.keys() & after.keys() if before[key] != after[key])),
        removed=tuple(sorted(before.keys() - after.keys())),
        marks={key: new.marks(key) for key in sorted(after) if new.marks(key) != old.marks(key)},
    )


class Fate(StrEnum):
    """What becomes of a key in a rollback, where anything does."""

    GOES_BACK = "goes back"
    KEEPS = "keeps its present value"
    COMES_BACK = "comes back"
    TAKEN_AWAY = "taken away"


def roll_back(present: Config, target: Config) -> Config:
    """The config of a rollback: the target's, but live keys as they are at present.

    A key has the marks that it has at present, which say how it is to be treated from now on; one that comes back, those
    that it had.
    """
    live = {key: present.values[key] for key in present.live}
    returning = tuple(key for key in target.values if key not in present.values)
    return Config({**target.values, **live}).changed(
        {},
        Marking(
            secret=dict.fromkeys((*present.secret, *(key for key in returning if key in target.secret)), True),
            live=dict.fromkeys((*present.live, *(key for key in returning if key in target.live)), True),
        ),
    )


def fates(present: Config, target: Config) -> Mapping[str, Fate]:
    """What becomes of each key in a rollback from the present config to the target's; keys that stay as they are, left out."""
    before, after = present.values, target.values
    found = {}
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            found[key] = _fate(key, present, target)
    return found


def _fate(key: str, present: Config, target: Config) -> Fate:
    if key in present.live:
        return Fate.KEEPS
    if key not in present.values:
        return Fate.COMES_BACK
    return Fate.GOES_BACK if key in target.values else Fate.TAKEN_AWAY


def parse_config(values: Mapping[str, str]) -> Config:
    """A config whose names are all valid and whose values an environment can hold. Raises: ConfigError."""
    for key, value in values.items():
        parse_variable(key)
        if "\0" in value:
            raise ConfigError(
                f"The value of {key} contains a NUL byte, which no environment variable can hold.",
                hint=_ENCODE_IT,
            )
        if not value.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ConfigError(f"The value of {key} is not UTF-8 text.", hint=_ENCODE_IT)
    return Config(dict(sorted(values.items())))
