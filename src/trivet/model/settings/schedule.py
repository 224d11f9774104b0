"""`[schedule]`: what runs at times. What it takes from the Procfile is found out when the build is made."""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from trivet.errors import InputError
from trivet.model.cron import parse_cron
from trivet.model.frozen import frozen
from trivet.model.names import RELEASE_PROCESS, WEB_PROCESS, parse_process_type
from trivet.model.process import Limits
from trivet.model.schedule import UTC, Missed, Overlap
from trivet.model.settings.file import (
    Place,
    Reader,
    SettingsFile,
    mistyped,
    read_name,
    read_seconds,
    read_table,
    read_text,
    table_of,
)
from trivet.model.settings.processes import read_limits
from trivet.model.zone import find_zone

_ZONE = "time_zone"


@frozen
class ScheduledSettings:
    """`[schedule.NAME]`; None where nothing is said. Either a `command`, or the `process` type whose command it is."""

    cron: str
    command: str | None = None
    process: str | None = None
    time_zone: str = UTC
    overlap: Overlap | None = None
    missed: Missed | None = None
    timeout_s: float | None = None
    grace_s: float | None = None
    limits: Limits | None = None


def read_schedule(file: SettingsFile, place: Place, data: object) -> Mapping[str, ScheduledSettings]:
    """What is scheduled, by name, each with its time zone. Raises: InvalidFile."""
    tables = table_of(file, place, data)
    zone = _read_zone(file, (*place, _ZONE), tables.pop(_ZONE)) if _ZONE in tables else UTC
    return {
        read_name(file, (*place, name), parse_process_type): _read_scheduled(file, (*place, name), (table, zone))
        for name, table in tables.items()
    }


def _read_scheduled(file: SettingsFile, place: Place, told: tuple[object, str]) -> ScheduledSettings:
    data, zone = told
    if place[-1] in (WEB_PROCESS, RELEASE_PROCESS):
        raise file.error(place, f"{place[-1]!r} is a process type.", "Give it another name, like [schedule.nightly].")
    values = read_table(file, place, data, _SCHEDULED)
    if "cron" not in values:
        raise file.error(
            place, f"[{'.'.join(place)}] does not say when it runs.", 'Write it like this: cron = "30 3 * * *"'
        )
    if ("command" in values) == ("process" in values):
        raise file.error(
            place,
            f"[{'.'.join(place)}] must say either command or process.",
            'Write it like this: command = "./clean-up", or the name of a process type: process = "cleanup"',
        )
    settings = ScheduledSettings(**values)  # type: ignore[arg-type] # each reader gives the type of its field
    return settings if _ZONE in values else replace(settings, time_zone=zone)


def _read_cron(file: SettingsFile, place: Place, data: object) -> str:
    text = read_text(file, place, data)
    try:
        parse_cron(text)
    except InputError as error:
        raise file.error(place, f"cron cannot be read: {error.message}", error.hint) from error
    return " ".join(text.split())


def _read_zone(file: SettingsFile, place: Place, data: object) -> str:
    text = read_text(file, place, data)
    try:
        find_zone(text)
    except InputError as error:
        raise file.error(place, error.message, error.hint) from error
    return text


def _read_command(file: SettingsFile, place: Place, data: object) -> str:
    if not isinstance(data, str) or not data.strip() or "\0" in data or "\n" in data:
        raise mistyped(file, place, data, "a command on one line", 'command = "python manage.py clearsessions"')
    return data.strip()


def _read_choice(file: SettingsFile, place: Place, told: tuple[object, type[StrEnum]]) -> StrEnum:
    data, kind = told
    if data not in list(kind):
        choices = [f'"{each}"' for each in kind]
        listed = f"{', '.join(choices[:-1])} or {choices[-1]}"
        raise mistyped(file, place, data, listed, f"{place[-1]} = {choices[-1]}")
    return kind(str(data))


_SCHEDULED: Mapping[str, tuple[str, Reader]] = {
    "cron": ("cron", _read_cron),
    "command": ("command", _read_command),
    "process": ("process", read_text),
    "time_zone": ("time_zone", _read_zone),
    "overlap": ("overlap", lambda file, place, data: _read_choice(file, place, (data, Overlap))),
    "missed": ("missed", lambda file, place, data: _read_choice(file, place, (data, Missed))),
    "timeout": ("timeout_s", read_seconds),
    "grace": ("grace_s", read_seconds),
    "limits": ("limits", read_limits),
}
