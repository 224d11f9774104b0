"""Config: the environment variables of a deploy. Secrets are config, so a value never shows in a repr."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from trivet.errors import ConfigError
from trivet.model.names import parse_variable

_ENCODE_IT = "Encode it, for example with base64, and decode it in the app."


@dataclass(frozen=True, slots=True)
class Config:
    """Keys and values; the values stay out of repr, of errors and of the ledger."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)

    def changed(self, changes: Mapping[str, str | None]) -> "Config":
        """A config with these keys set; None takes a key away."""
        merged: dict[str, str | None] = {**self.values, **changes}
        return Config({key: value for key, value in sorted(merged.items()) if value is not None})


@dataclass(frozen=True, slots=True)
class ConfigVersion:
    """A config as it was stored: numbered from 1 in each deploy; version 0 is the empty config before any was set."""

    version: int
    config: Config


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """Which keys differ between two configs: names only."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def compare(old: Config, new: Config) -> ConfigChange:
    """The keys that were added, changed and removed from old to new."""
    before, after = old.values, new.values
    return ConfigChange(
        added=tuple(sorted(after.keys() - before.keys())),
        changed=tuple(sorted(key for key in before.keys() & after.keys() if before[key] != after[key])),
        removed=tuple(sorted(before.keys() - after.keys())),
    )


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
