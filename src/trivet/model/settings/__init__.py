"""Settings: what `trivet.toml` says, every key of it checked. The file is optional, and so is everything in it."""

from collections.abc import Mapping
from dataclasses import field

from trivet.errors import InvalidName
from trivet.model.declaration import Declaration
from trivet.model.frozen import frozen
from trivet.model.names import AppName, parse_app_name, parse_deploy_name
from trivet.model.release_settings import ReleaseSettings
from trivet.model.settings.build import EVERY, BuildSettings, read_build
from trivet.model.settings.config import read_config
from trivet.model.settings.file import (
    FILE,
    Place,
    Reader,
    SettingsFile,
    invalid_setting,
    mistyped,
    parse_toml,
    read_name,
    read_seconds,
    read_switch,
    read_table,
    read_text,
    suggestion,
    table_of,
)
from trivet.model.settings.processes import ProcessSettings, read_processes
from trivet.model.settings.release import read_release
from trivet.model.settings.schedule import ScheduledSettings, read_schedule

__all__ = [
    "EVERY",
    "FILE",
    "BuildSettings",
    "DeploySettings",
    "Place",
    "ProcessSettings",
    "ScheduledSettings",
    "Settings",
    "invalid_setting",
    "parse_settings",
    "suggestion",
]


@frozen
class DeploySettings:
    """`[deploys.NAME]`: where the deploy is reached, how long it is watched; None where nothing is said.

    `proxy_protocol`: connections come from a load balancer that says whose they are.
    """

    port: int | None = None
    host: str | None = None
    watch_s: float | None = None
    proxy_protocol: bool = False


@frozen
class Settings:
    """A whole `trivet.toml`; `Settings()` is what an app without one has."""

    app: AppName | None = None
    build: BuildSettings = field(default_factory=BuildSettings)
    processes: Mapping[str, ProcessSettings] = field(default_factory=dict)
    deploys: Mapping[str, DeploySettings] = field(default_factory=dict)
    config: tuple[Declaration, ...] = ()
    release: ReleaseSettings = field(default_factory=ReleaseSettings)
    schedule: Mapping[str, ScheduledSettings] = field(default_factory=dict)


def parse_settings(text: str) -> Settings:
    """The settings that the text of a `trivet.toml` stands for. Raises: InvalidFile, with the line."""
    file = SettingsFile(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    values = read_table(file, (), parse_toml(file), _TOP)
    return Settings(**values)  # type: ignore[arg-type] # each reader of _TOP gives the type of its field


def _read_app(file: SettingsFile, place: Place, data: object) -> AppName:
    try:
        return parse_app_name(read_text(file, place, data))
    except InvalidName as error:
        raise file.error(place, error.message, error.hint) from error


def _read_port(file: SettingsFile, place: Place, data: object) -> int:
    if isinstance(data, bool) or not isinstance(data, int) or not 1 <= data <= 65535:
        raise mistyped(file, place, data, "a number from 1 to 65535", "port = 8000")
    return data


def _read_deploys(file: SettingsFile, place: Place, data: object) -> Mapping[str, DeploySettings]:
    return {
        read_name(file, (*place, name), parse_deploy_name): DeploySettings(
            **read_table(file, (*place, name), table, _DEPLOY)  # type: ignore[arg-type]
        )
        for name, table in table_of(file, place, data).items()
    }


_TOP: Mapping[str, tuple[str, Reader]] = {
    "app": ("app", _read_app),
    "build": ("build", read_build),
    "processes": ("processes", read_processes),
    "deploys": ("deploys", _read_deploys),
    "config": ("config", read_config),
    "release": ("release", read_release),
    "schedule": ("schedule", read_schedule),
}
_DEPLOY: Mapping[str, tuple[str, Reader]] = {
    "port": ("port", _read_port),
    "host": ("host", read_text),
    "watch": ("watch_s", read_seconds),
    "proxy_protocol": ("proxy_protocol", read_switch),
}
