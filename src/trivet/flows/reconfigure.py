"""Reconfigure: changed config, one or many keys, becomes one new release of the same build."""

from collections.abc import Mapping
from dataclasses import dataclass

from trivet.errors import ConfigError
from trivet.flows.installation import Installation, Progress
from trivet.flows.releasing import Released, Releasing, RollOutOptions, prepare
from trivet.model.config import Config, ConfigChange, ConfigVersion, compare, parse_config
from trivet.model.names import Deploy
from trivet.model.release import Cause, Draft, Record
from trivet.release import ConfigStore, Ledger


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """What a change of config did: `change` is empty if every key had its value already.

    `released` is None then, and also when the deploy has no good release yet: the config waits for the first deploy.
    """

    change: ConfigChange
    released: Released | None


def read_config(installation: Installation, deploy: Deploy) -> ConfigVersion:
    """The deploy's current config."""
    with ConfigStore(installation.home) as store:
        return store.current(deploy)


def reconfigure(
    installation: Installation,
    deploy: Deploy,
    changes: Mapping[str, str | None],
    reason: str,
    progress: Progress,
) -> Reconfigured:
    """The config has these values (None takes a key away), in one new release that serves.

    Raises: ConfigError before anything changes; RunError if the app does not come up with the new config, which then
    stays on record as failed while the old release and the old config stay current.
    """
    parse_config({key: value or "" for key, value in changes.items()})
    with (
        installation.working_on(deploy, "config", progress),
        Ledger(installation.home) as ledger,
        ConfigStore(installation.home) as store,
    ):
        # An interrupted command is settled first: it may have made another release the current one.
        machine = prepare(installation, ledger, deploy, progress) if ledger.records(deploy, limit=1) else None
        current = ledger.current(deploy)
        old = store.current(deploy).config
        _check_present(deploy, old, changes)
        new = old.changed(changes)
        change = compare(old, new)
        if not change:
            return Reconfigured(change, None)
        stored = store.add(deploy, new)
        if current is None or machine is None:
            return Reconfigured(change, None)
        draft = _draft(installation, current, stored, change, reason)
        released = Releasing(ledger, machine, progress).bring_into_service(draft, new, RollOutOptions())
        return Reconfigured(change, released)


def _draft(
    installation: Installation, current: Record, stored: ConfigVersion, change: ConfigChange, reason: str
) -> Draft:
    return Draft(
        deploy=current.release.deploy,
        build=current.release.build,
        config_version=stored.version,
        config_change=change,
        cause=Cause.CONFIG,
        reason=reason or _describe(change),
        actor=installation.actor,
    )


def _describe(change: ConfigChange) -> str:
    parts = []
    if names := (*change.added, *change.changed):
        parts.append(f"set {', '.join(sorted(names))}")
    if change.removed:
        parts.append(f"unset {', '.join(change.removed)}")
    return "; ".join(parts)


def _check_present(deploy: Deploy, config: Config, changes: Mapping[str, str | None]) -> None:
    absent = sorted(key for key, value in changes.items() if value is None and key not in config.values)
    if absent:
        raise ConfigError(
            f"{deploy} has no config key {', '.join(absent)}.",
            hint=f"It has: {', '.join(config.values) or 'none'}. Nothing was changed.",
        )
