"""Time zones by their names in the IANA database, as this machine has it."""

from datetime import UTC, tzinfo

from trivet.errors import InputError


def find_zone(name: str) -> tzinfo:
    """The time zone of this name, `Europe/Zurich`. UTC needs no database. Raises: InputError."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # only a schedule needs it

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(
            f"{name!r} is no time zone that this machine knows.",
            hint="Name one as the IANA database does, like Europe/Zurich. Are there none? Install the package tzdata.",
        ) from error
