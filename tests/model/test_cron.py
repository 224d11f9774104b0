"""Cron expressions: what they stand for, and when they come, held against a walk through every minute."""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, reject, settings
from hypothesis import strategies as st

from trivet.errors import InputError
from trivet.model.cron import Cron, parse_cron

# Where clocks are changed: by an hour, by half of one, around midnight, by a whole day; and where they are not.
_CHANGES = (
    ("Europe/Zurich", "2026-03-29T01:00"),
    ("Europe/Zurich", "2026-10-25T01:00"),
    ("America/New_York", "2026-11-01T06:00"),
    ("Australia/Lord_Howe", "2026-04-04T15:00"),
    ("Australia/Lord_Howe", "2026-10-03T15:30"),
    ("America/St_Johns", "2006-10-29T02:31"),
    ("America/St_Johns", "2006-04-02T03:31"),
    ("Africa/Cairo", "2024-04-25T22:00"),
    ("Africa/Cairo", "2024-10-31T21:00"),
    ("Pacific/Apia", "2011-12-30T10:00"),
    ("Asia/Kathmandu", "2026-01-01T00:00"),
    ("UTC", "2026-02-28T23:00"),
)
_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def _field(least: int, most: int) -> st.SearchStrategy[str]:
    value = st.integers(least, most)
    pair = st.tuples(value, value).map(lambda two: f"{min(two)}-{max(two)}")
    step = st.integers(1, 20)
    stepped = st.tuples(pair | st.just("*"), step).map(lambda two: f"{two[0]}/{two[1]}")
    item = value.map(str) | pair | stepped | st.just("*")
    return st.just("*") | st.lists(item, min_size=1, max_size=3).map(",".join)


def _expressions() -> st.SearchStrategy[str]:
    minute, hour, day, month, weekday = (_field(*limits) for limits in _FIELDS)
    return st.tuples(minute, hour, st.just("*") | day, st.just("*") | month, st.just("*") | weekday).map(" ".join)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def _runs_at(cron: Cron, moment: datetime, zone: tzinfo) -> bool:
    """Told from the clock on the wall alone, minute by minute."""
    shown, before = moment.astimezone(zone), (moment - timedelta(minutes=1)).astimezone(zone)
    if _matches(cron, shown) and (cron.follows_clock or shown.fold == 0):
        return True
    skipped = before.replace(tzinfo=None) + timedelta(minutes=1)
    while not cron.follows_clock and skipped < shown.replace(tzinfo=None):
        if _matches(cron, skipped):
            return True
        skipped += timedelta(minutes=1)
    return False


def _matches(cron: Cron, shown: datetime) -> bool:
    return shown.minute in cron.minutes and shown.hour in cron.hours and cron.falls_on(shown.date())


@settings(deadline=None, max_examples=50)
@given(_expressions(), st.sampled_from(_CHANGES), st.integers(-7, 1))
@example("30 2 * * *", ("Europe/Zurich", "2026-03-29T01:00"), -3)
@example("30 2 * * *", ("Europe/Zurich", "2026-10-25T01:00"), -3)
@example("*/20 * * * *", ("America/St_Johns", "2006-10-29T02:31"), -2)
def test_times_are_those_that_a_walk_through_every_minute_finds(
    text: str, change: tuple[str, str], hours_off: int
) -> None:
    try:
        cron = parse_cron(text)
    except InputError:  # the 31st of February
        reject()
    zone = ZoneInfo(change[0])
    begin = datetime.fromisoformat(change[1]).replace(tzinfo=UTC) + timedelta(hours=hours_off)
    minutes = (begin + timedelta(minutes=count) for count in range(1, 60 * 8))
    wanted = [moment.timestamp() for moment in minutes if _runs_at(cron, moment, zone)]
    found: list[float] = []
    at = cron.next_after(begin.timestamp(), zone)
    while at is not None and at < (begin + timedelta(hours=8)).timestamp():
        found.append(at)
        at = cron.next_after(at, zone)
    assert found == wanted


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("30 3 * * *", "2026-11-29T03:30", "2026-11-30T03:30"),
        ("*/15 9-17 * * mon-fri", "2026-11-27T17:45", "2026-11-30T09:00"),
        ("0 12 13 * fri", "2026-11-01T00:00", "2026-11-06T12:00"),  # the 13th, and every Friday
        ("0 0 29 2 *", "2096-03-01T00:00", "2104-02-29T00:00"),
        ("0 0 * * 7", "2026-11-29T00:00", "2026-12-06T00:00"),
        ("0 0 1 JAN,Jul *", "2026-11-29T00:00", "2027-01-01T00:00"),
        ("@hourly", "2026-11-29T03:30", "2026-11-29T04:00"),
        ("@Weekly", "2026-11-29T03:30", "2026-12-06T00:00"),
        ("@monthly", "2026-11-29T03:30", "2026-12-01T00:00"),
        ("5 4 31 * *", "2026-11-01T00:00", "2026-12-31T04:05"),
    ],
)
def test_expressions_mean_what_crontab_says(text: str, after: str, expected: str) -> None:
    assert parse_cron(text).next_after(_seconds(after), UTC) == _seconds(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("30 3 * *", "'30 3 * *' has 4 fields, not 5."),
        ("60 3 * * *", "'60' is no minute."),
        ("* 24 * * *", "'24' is no hour."),
        ("* * 0 * *", "'0' is no day of the month."),
        ("* * * febr *", "'febr' is no month."),
        ("* * * * 8", "'8' is no day of the week."),
        ("5/10 * * * *", "'5/10' is no minute."),
        ("*/0 * * * *", "'*/0' is no minute."),
        ("1,,2 * * * *", "'' is no minute."),
        ("* * * * fri-mon", "the day of the week 'fri-mon' ends before it begins."),
        ("0 0 30 2 *", "'0 0 30 2 *' never comes."),
        ("@reboot", "'@reboot' is not known."),
        ("", "'' has 0 fields, not 5."),
    ],
)
def test_what_cannot_be_read_is_named(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_cron(text)
    assert caught.value.message == message
