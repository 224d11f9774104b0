"""Two configs side by side: of two releases, or of two deploys. Names of keys, never a value."""

from trivet.flows.installation import Installation
from trivet.model.config import ConfigChange, compare
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.release import ConfigStore, Ledger


@frozen
class ConfigPlace:
    """The config of one release of a deploy, or its current one (`number` is None)."""

    deploy: Deploy
    number: int | None = None

    def __str__(self) -> str:
        return f"{self.deploy} v{self.number}" if self.number else str(self.deploy)


@frozen
class ConfigDiff:
    """What differs from the old config to the new one, and the keys whose values are equal."""

    old: ConfigPlace
    new: ConfigPlace
    change: ConfigChange
    equal: tuple[str, ...]


def diff_configs(installation: Installation, old: ConfigPlace, new: ConfigPlace) -> ConfigDiff:
    """What differs. Raises: UnknownRelease."""
    with Ledger(installation.home) as ledger, ConfigStore(installation.home) as store:
        before, after = (
            store.current(place.deploy).config
            if place.number is None
            else store.at(place.deploy, ledger.record(place.deploy, place.number).release.config_version).config
            for place in (old, new)
        )
    equal = (key for key in sorted(before.values) if before.values[key] == after.values.get(key))
    return ConfigDiff(old, new, compare(before, after), tuple(equal))
