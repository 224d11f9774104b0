"""`[processes.NAME]`: how the run stage is to treat a process type."""

import re
from collections.abc import Mapping

from trivet.model.frozen import frozen
from trivet.model.names import WEB_PROCESS, parse_process_type
from trivet.model.process import HealthCheck, Limits
from trivet.model.settings.file import (
    Place,
    Reader,
    SettingsFile,
    mistyped,
    read_name,
    read_seconds,
    read_switch,
    read_table,
    table_of,
)

_UNITS = {"": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_SMALLEST_BYTES = 1_000_000
_MOST_FILES = 1_048_576
_MOST_PROCESSES = 4_194_304  # PID_MAX_LIMIT
_MOST_CPUS = 4096


@frozen
class ProcessSettings:
    """`[processes.NAME]`; None where nothing is said. `model.process.ProcessType` says what each means."""

    health: tuple[str, HealthCheck] | None = None
    timeout_s: float | None = None
    settle_s: float | None = None
    grace_s: float | None = None
    warm_s: float | None = None
    overlaps: bool | None = None
    inherits: bool | None = None
    limits: Limits | None = None


def read_processes(file: SettingsFile, place: Place, data: object) -> Mapping[str, ProcessSettings]:
    """The settings of each process type that has some. Raises: InvalidFile."""
    settings = {
        read_name(file, (*place, name), parse_process_type): ProcessSettings(
            **read_table(file, (*place, name), table, _PROCESS)  # type: ignore[arg-type]
        )
        for name, table in table_of(file, place, data).items()
    }
    web = settings.get(WEB_PROCESS)
    if web is not None and web.overlaps is False and not web.inherits:
        raise file.error(
            (*place, WEB_PROCESS, "overlap"),
            "web overlaps, unless it inherits its socket: its old processes answer until the new ones do.",
            'Take the line out, or add: socket = "inherit"',
        )
    return settings


def _read_health(file: SettingsFile, place: Place, data: object) -> tuple[str, HealthCheck]:
    if not isinstance(data, dict):
        return _read_path(file, place, data), HealthCheck()
    values = read_table(file, place, data, _HEALTH)
    if "path" not in values:
        raise file.error(
            place, "health says no path.", 'Write it like this: health = { path = "/health", status = 200 }'
        )
    path = str(values.pop("path"))
    return path, HealthCheck(**values)  # type: ignore[arg-type]


def _read_path(file: SettingsFile, place: Place, data: object) -> str:
    if not isinstance(data, str) or not re.fullmatch(r"/[!-~]*", data):
        raise mistyped(file, place, data, "a path that starts with '/'", f'{place[-1]} = "/health"')
    return data


def _read_status(file: SettingsFile, place: Place, data: object) -> int:
    return _read_number(file, place, data, (100, 599))


def _read_seconds_or_none(file: SettingsFile, place: Place, data: object) -> float:
    return 0.0 if data == 0 and not isinstance(data, bool) else read_seconds(file, place, data)


def _read_socket(file: SettingsFile, place: Place, data: object) -> bool:
    if data not in ("port", "inherit"):
        raise mistyped(file, place, data, '"port" or "inherit"', 'socket = "inherit"')
    if place[-2] != WEB_PROCESS:
        raise file.error(
            place, f"{place[-2]} is not reached from outside, so it has no socket.", "Only web has: remove this line."
        )
    return data == "inherit"


def read_limits(file: SettingsFile, place: Place, data: object) -> Limits:
    """The table of limits. Raises: InvalidFile."""
    return Limits(**read_table(file, place, data, _LIMITS))  # type: ignore[arg-type]


def _read_memory(file: SettingsFile, place: Place, data: object) -> int:
    found = re.fullmatch(r"([0-9]{1,15}) ?([A-Za-z]*)", data) if isinstance(data, str) else None
    size = int(found[1]) * _UNITS.get(found[2], 0) if found else 0
    if size < _SMALLEST_BYTES:
        raise mistyped(file, place, data, "a size of 1 MB or more, in kB, MB, GB, KiB, MiB or GiB", 'memory = "512MB"')
    return size


def _read_cpus(file: SettingsFile, place: Place, data: object) -> float:
    if isinstance(data, bool) or not isinstance(data, int | float) or not 0.01 <= data <= _MOST_CPUS:
        raise mistyped(file, place, data, "a number of cores, 0.01 or more", "cpu = 0.5")
    return float(data)


def _read_files(file: SettingsFile, place: Place, data: object) -> int:
    return _read_number(file, place, data, (16, _MOST_FILES))


def _read_count(file: SettingsFile, place: Place, data: object) -> int:
    return _read_number(file, place, data, (1, _MOST_PROCESSES))


def _read_number(file: SettingsFile, place: Place, data: object, limits: tuple[int, int]) -> int:
    lowest, highest = limits
    if isinstance(data, bool) or not isinstance(data, int) or not lowest <= data <= highest:
        example = f"{place[-1]} = {min(highest, max(lowest, 200))}"
        raise mistyped(file, place, data, f"a number from {lowest} to {highest}", example)
    return data


_PROCESS: Mapping[str, tuple[str, Reader]] = {
    "health": ("health", _read_health),
    "timeout": ("timeout_s", read_seconds),
    "settle": ("settle_s", read_seconds),
    "grace": ("grace_s", read_seconds),
    "warm": ("warm_s", _read_seconds_or_none),
    "overlap": ("overlaps", read_switch),
    "socket": ("inherits", _read_socket),
    "limits": ("limits", read_limits),
}
_HEALTH: Mapping[str, tuple[str, Reader]] = {
    "path": ("path", _read_path),
    "status": ("status", _read_status),
    "interval": ("interval_s", read_seconds),
    "timeout": ("timeout_s", read_seconds),
}
_LIMITS: Mapping[str, tuple[str, Reader]] = {
    "memory": ("memory_bytes", _read_memory),
    "cpu": ("cpus", _read_cpus),
    "files": ("files", _read_files),
    "processes": ("processes", _read_count),
}
