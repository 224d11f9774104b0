"""Cron expressions: five fields, minute to day of the week, as crontab(5) has them; and when they come next. Pure.

Where clocks are changed: a time of fixed hours that does not exist runs when the clock has jumped, and one that exists twice
runs once, the first time. An expression whose hours are `*` or `*/n` follows the clock: it runs whenever the clock shows it.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from trivet.errors import InputError
from trivet.model.frozen import frozen

_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ITEM = re.compile(r"(?:(?P<star>\*)|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[0-9]{1,2}))?", re.ASCII)
_MOST_DAYS = 41 * 366  # after 40 years each date has been on each day of the week, 2100 included
_EXAMPLE = '"30 3 * * *" is each day at half past three'


@frozen
class _Field:
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()
    first_name: int = 0


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS, 1),
    _Field("day of the week", 0, 7, _WEEKDAYS, 0),
)


@frozen
class Cron:
    """When something runs. With neither `any_day` nor `any_weekday` one of the two will do, else both must be as said."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool
    follows_clock: bool

    def falls_on(self, day: date) -> bool:
        """Whether it runs on this day."""
        if day.month not in self.months:
            return False
        is_day, is_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return is_day and is_weekday if self.any_day or self.any_weekday else is_day or is_weekday

    def next_after(self, moment_s: float, zone: tzinfo) -> float | None:
        """The first time after this moment, both in seconds since the epoch; None: it never comes."""
        day = datetime.fromtimestamp(moment_s, zone).date() - timedelta(days=1)
        for _ in range(_MOST_DAYS):
            found = self._first_on(day, moment_s, zone)
            day += timedelta(days=1)
            if found is not None:
                # Where the clock is set back after midnight, the first of a day may come before the last of the day before.
                following = self._first_on(day, moment_s, zone)
                return found if following is None else min(found, following)
        return None

    def _first_on(self, day: date, moment_s: float, zone: tzinfo) -> float | None:
        if not self.falls_on(day):
            return None
        begin = datetime.combine(day, time(0), zone)
        end = datetime.combine(day, time(23, 59), zone).replace(fold=1)
        if begin.utcoffset() == end.utcoffset():
            midnight_s = begin.timestamp()
            return self._first_of_plain_day(midnight_s, moment_s)
        return self._first_of_changed_day(day, moment_s, zone)

    def _first_of_plain_day(self, midnight_s: float, moment_s: float) -> float | None:
        for hour in self.hours:
            if midnight_s + hour * 3600 + 3540 <= moment_s:
                continue
            for minute in self.minutes:
                if (at := midnight_s + hour * 3600 + minute * 60) > moment_s:
                    return at
        return None

    def _first_of_changed_day(self, day: date, moment_s: float, zone: tzinfo) -> float | None:
        """On a day on which the clock is changed: hours may come twice, or not at all."""
        best: float | None = None
        for hour in self.hours:
            begin = min(_both(datetime.combine(day, time(hour), zone)))
            end = max(_both(datetime.combine(day, time(hour, 59), zone)))
            if end <= moment_s or (best is not None and begin >= best):
                continue
            times = [each for each in self._times_in(day, hour, zone) if each > moment_s]
            best = min(times if best is None else (best, *times), default=None)
        return best

    def _times_in(self, day: date, hour: int, zone: tzinfo) -> Iterator[float]:
        for minute in self.minutes:
            first, second = _both(datetime.combine(day, time(hour, minute), zone))
            if first <= second:
                yield first
                if first < second and self.follows_clock:
                    yield second
            elif not self.follows_clock:
                yield _end_of_gap(int(second), int(first), zone)


def parse_cron(text: str) -> Cron:
    """The cron expression. Raises: InputError, with what is wrong and how it is written."""
    plain = _NICKNAMES.get(text.strip().lower(), text.strip())
    if plain.startswith("@"):
        raise InputError(f"{text!r} is not known.", hint=f"There is: {', '.join(_NICKNAMES)}; or five fields.")
    parts = plain.split()
    if len(parts) != len(_FIELDS):
        names = ", ".join(field.name for field in _FIELDS)
        raise InputError(f"{text!r} has {len(parts)} fields, not 5.", hint=f"They are: {names}; {_EXAMPLE}.")
    minutes, hours, days, months, weekdays = (
        _read_field(field, part) for field, part in zip(_FIELDS, parts, strict=True)
    )
    stars = [part.startswith("*") for part in parts]
    cron = Cron(
        tuple(sorted(minutes)),
        tuple(sorted(hours)),
        days,
        months,
        frozenset(each % 7 for each in weekdays),
        any_day=stars[2],
        any_weekday=stars[4],
        follows_clock=stars[1],
    )
    if cron.next_after(0.0, UTC) is None:
        raise InputError(f"{text!r} never comes.", hint="No month of those has such a day.")
    return cron


def _read_field(field: _Field, text: str) -> frozenset[int]:
    return frozenset(value for item in text.split(",") for value in _read_item(field, item))


def _read_item(field: _Field, item: str) -> range:
    match = _ITEM.fullmatch(item)
    if match is None or (match["step"] and not match["star"] and not match["last"]) or match["step"] in ("0", "00"):
        raise _unreadable(field, item)
    step = int(match["step"] or 1)
    if match["star"]:
        most = min(field.most, 6) if field.names is _WEEKDAYS else field.most
        return range(field.least, most + 1, step)
    first = _read_value(field, item, match["first"])
    last = _read_value(field, item, match["last"]) if match["last"] else first
    if last < first:
        raise InputError(
            f"the {field.name} {item!r} ends before it begins.",
            hint="Write two ranges, with a comma between them, like 22-23,0-4.",
        )
    return range(first, last + 1, step)


def _read_value(field: _Field, item: str, text: str) -> int:
    if text.lower() in field.names:
        return field.names.index(text.lower()) + field.first_name
    if not text.isdecimal() or not field.least <= int(text) <= field.most:
        raise _unreadable(field, item)
    return int(text)


def _unreadable(field: _Field, item: str) -> InputError:
    names = f", {field.names[0]} to {field.names[-1]}" if field.names else ""
    least, most = field.least, field.most
    return InputError(
        f"{item!r} is no {field.name}.",
        hint=f"Write a number from {least} to {most}{names}, a range ({least}-{most}), '*', steps (*/2), or several with commas.",
    )


def _both(shown: datetime) -> tuple[float, float]:
    """When the clock shows this, first and last; the other way round if it never does (PEP 495)."""
    return shown.timestamp(), shown.replace(fold=1).timestamp()


def _end_of_gap(before_s: int, after_s: int, zone: tzinfo) -> float:
    """When the clock jumps, between these two."""
    later = datetime.fromtimestamp(after_s, zone).utcoffset()
    while after_s - before_s > 1:
        middle = (before_s + after_s) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == later:
            after_s = middle
        else:
            before_s = middle
    return float(after_s)
