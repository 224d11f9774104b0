"""[schedule] of trivet.toml: everything in it is checked, and told with its line."""

import pytest

from trivet.errors import InvalidFile
from trivet.model.process import Limits
from trivet.model.schedule import Missed, Overlap
from trivet.model.settings import ScheduledSettings, parse_settings

WHOLE = """
[schedule]
time_zone = "Europe/Zurich"

[schedule.nightly]
cron = "30 3  * * *"
command = "python manage.py clearsessions"
overlap = "queue"
missed = "once"
timeout = 600
grace = 5
limits = { memory = "256MB" }

[schedule.report]
cron = "@weekly"
process = "report"
time_zone = "UTC"
"""


def test_everything_that_can_be_set_is_read() -> None:
    assert parse_settings(WHOLE).schedule == {
        "nightly": ScheduledSettings(
            "30 3 * * *",
            command="python manage.py clearsessions",
            time_zone="Europe/Zurich",
            overlap=Overlap.QUEUE,
            missed=Missed.ONCE,
            timeout_s=600.0,
            grace_s=5.0,
            limits=Limits(memory_bytes=256_000_000),
        ),
        "report": ScheduledSettings("@weekly", process="report", time_zone="UTC"),
    }


_ZONES = "Name one as the IANA database does, like Europe/Zurich. Are there none? Install the package tzdata."
_FORMS = (
    "Write a number from 0 to 23, a range (0-23), '*', steps (*/2), or several with commas.",
    'They are: minute, hour, day of the month, month, day of the week; "30 3 * * *" is each day at half past three.',
)


@pytest.mark.parametrize(
    ("lines", "message", "hint"),
    [
        (
            '[schedule]\ntime_zone = "Europe/Zuerich"',
            "trivet.toml:2: 'Europe/Zuerich' is no time zone that this machine knows.",
            _ZONES,
        ),
        (
            '[schedule.x]\ncron = "@daily"\ncommand = "x"\ntime_zone = "../etc"',
            "trivet.toml:4: '../etc' is no time zone that this machine knows.",
            _ZONES,
        ),
        (
            '[schedule.x]\ncommand = "x"\ncron = "0 24 * * *"',
            "trivet.toml:3: cron cannot be read: '24' is no hour.",
            _FORMS[0],
        ),
        (
            '[schedule.x]\ncommand = "x"\ncron = "0 3 * *"',
            "trivet.toml:3: cron cannot be read: '0 3 * *' has 4 fields, not 5.",
            _FORMS[1],
        ),
        (
            '[schedule.x]\ncommand = "x"',
            "trivet.toml:1: [schedule.x] does not say when it runs.",
            'Write it like this: cron = "30 3 * * *"',
        ),
        (
            '[schedule.x]\ncron = "@daily"',
            "trivet.toml:1: [schedule.x] must say either command or process.",
            'Write it like this: command = "./clean-up", or the name of a process type: process = "cleanup"',
        ),
        (
            '[schedule.x]\ncron = "@daily"\ncommand = "x"\nprocess = "y"',
            "trivet.toml:1: [schedule.x] must say either command or process.",
            'Write it like this: command = "./clean-up", or the name of a process type: process = "cleanup"',
        ),
        (
            '[schedule.x]\ncron = "@daily"\ncommand = ""',
            "trivet.toml:3: command must be a command on one line, not ''.",
            'Write it like this: command = "python manage.py clearsessions"',
        ),
        (
            '[schedule.x]\ncron = "@daily"\ncommand = "x"\noverlap = "replace"',
            'trivet.toml:4: overlap must be "skip", "queue" or "allow", not \'replace\'.',
            'Write it like this: overlap = "allow"',
        ),
        (
            '[schedule.x]\ncron = "@daily"\ncommand = "x"\nmissed = true',
            'trivet.toml:4: missed must be "skip" or "once", not true.',
            'Write it like this: missed = "once"',
        ),
        (
            '[schedule.x]\ncron = "@daily"\ncommand = "x"\nevery = 5',
            "trivet.toml:4: unknown setting 'every' in [schedule.x].",
            "There is: cron, command, process, time_zone, overlap, missed, timeout, grace, limits.",
        ),
        (
            '[schedule.web]\ncron = "@daily"\ncommand = "x"',
            "trivet.toml:1: 'web' is a process type.",
            "Give it another name, like [schedule.nightly].",
        ),
        (
            "[schedule]\nnightly = 5",
            "trivet.toml:2: nightly must be a table, not 5.",
            "Write it like this: [schedule.nightly]",
        ),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(lines: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        parse_settings(lines)
    assert (caught.value.message, caught.value.hint) == (message, hint)
