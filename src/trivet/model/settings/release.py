"""`[release]`: the commands that run around a release, and whether it has to be signed."""

from collections.abc import Mapping

from trivet.model.release_settings import ReleaseSettings
from trivet.model.settings.file import Place, Reader, SettingsFile, mistyped, read_seconds, read_switch, read_table


def read_release(file: SettingsFile, place: Place, data: object) -> ReleaseSettings:
    """The settings of the table."""
    return ReleaseSettings(**read_table(file, place, data, _RELEASE))  # type: ignore[arg-type]


def _read_schema(file: SettingsFile, place: Place, data: object) -> str:
    if not isinstance(data, str) or not data.strip() or "\0" in data or "\n" in data:
        raise mistyped(file, place, data, "the name of a tool, or a command on one line", f'{place[-1]} = "alembic"')
    return data.strip()


_RELEASE: Mapping[str, tuple[str, Reader]] = {
    "timeout": ("timeout_s", read_seconds),
    "hook_timeout": ("hook_timeout_s", read_seconds),
    "schema": ("schema", _read_schema),
    "require_signature": ("requires_signature", read_switch),
}
