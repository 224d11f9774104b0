"""trivet.toml: everything in it is checked, and told with its line."""

import pytest

from trivet.errors import InvalidFile
from trivet.model.process import HealthCheck, Limits
from trivet.model.release_settings import ReleaseSettings
from trivet.model.settings import (
    EVERY,
    BuildSettings,
    DeploySettings,
    ProcessSettings,
    Settings,
    invalid_setting,
    parse_settings,
)

WHOLE = """
app = "shop"

[build]
builder = "python"
commands = ["python manage.py collectstatic --noinput", "make css"]

[build.environment]
SECRET_KEY = "only for the build"

[processes.web]
health = "/health"
timeout = 10
grace = 2.5
warm = 0
socket = "inherit"

[processes.worker]
settle = 0.5
overlap = false

[processes.worker.limits]
memory = "512MB"
cpu = 0.5
files = 1024
processes = 64

[processes.api]
health = { path = "/up", status = 204, interval = 0.5, timeout = 2 }

[deploys.production]
port = 8080
host = "0.0.0.0"
watch = 30
"""


def test_everything_that_can_be_set_is_read() -> None:
    assert parse_settings(WHOLE) == Settings(
        app="shop",  # type: ignore[arg-type]
        build=BuildSettings(
            "python",
            ("python manage.py collectstatic --noinput", "make css"),
            {"SECRET_KEY": "only for the build"},
        ),
        processes={
            "web": ProcessSettings(("/health", HealthCheck()), timeout_s=10.0, grace_s=2.5, warm_s=0.0, inherits=True),
            "worker": ProcessSettings(settle_s=0.5, overlaps=False, limits=Limits(512_000_000, 0.5, 1024, 64)),
            "api": ProcessSettings(("/up", HealthCheck(status=204, interval_s=0.5, timeout_s=2.0))),
        },
        deploys={"production": DeploySettings(8080, "0.0.0.0", watch_s=30.0)},
    )


def test_packages_that_may_be_built_from_source_are_named_or_all() -> None:
    assert parse_settings("[build]\nsource_distributions = ['a', 'b']").build.source_distributions == ("a", "b")
    assert parse_settings("[build]\nsource_distributions = true").build.source_distributions == EVERY
    assert parse_settings("[build]\nsource_distributions = false").build.source_distributions == ()
    assert parse_settings("[build]\ncollectstatic = false").build.collectstatic is False


def test_what_is_said_of_the_commands_around_a_release() -> None:
    assert parse_settings("[release]\ntimeout = 1800\nhook_timeout = 30\nschema = ' alembic '").release == (
        ReleaseSettings(1800.0, 30.0, "alembic")
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "\ufeff", "[build]\r\n"])
def test_an_empty_file_says_nothing(text: str) -> None:
    assert parse_settings(text) == Settings()


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("ap = 'x'", "trivet.toml:1: unknown setting 'ap'.", "Did you mean 'app'?"),
        (
            "zzz = 1",
            "trivet.toml:1: unknown setting 'zzz'.",
            "There is: app, build, processes, deploys, config, release, schedule.",
        ),
        (
            "\n[processes.web]\ntimeout = 1\nhealt = '/'",
            "trivet.toml:4: unknown setting 'healt' in [processes.web].",
            "Did you mean 'health'?",
        ),
        (
            "[processes.worker]\nhealth = '/'\n[processes.web]\nhealth = 'x'",
            "trivet.toml:4: health must be a path that starts with '/', not 'x'.",
            'Write it like this: health = "/health"',
        ),
        (
            "[processes.web]\ngrace = '30'",
            "trivet.toml:2: grace must be a number of seconds above 0, not '30'.",
            "Write it like this: grace = 30",
        ),
        (
            "[processes.web]\ngrace = true",
            "trivet.toml:2: grace must be a number of seconds above 0, not true.",
            "Write it like this: grace = 30",
        ),
        (
            "[processes.web]\nsettle = 0",
            "trivet.toml:2: settle must be a number of seconds above 0, not 0.",
            "Write it like this: settle = 30",
        ),
        (
            "[processes.web]\ntimeout = nan",
            "trivet.toml:2: timeout must be a number of seconds above 0, not nan.",
            "Write it like this: timeout = 30",
        ),
        (
            "[release]\ntimeout = '10m'",
            "trivet.toml:2: timeout must be a number of seconds above 0, not '10m'.",
            "Write it like this: timeout = 30",
        ),
        (
            "[release]\nschema = true",
            "trivet.toml:2: schema must be the name of a tool, or a command on one line, not true.",
            'Write it like this: schema = "alembic"',
        ),
        (
            "[release]\nshema = 'alembic'",
            "trivet.toml:2: unknown setting 'shema' in [release].",
            "Did you mean 'schema'?",
        ),
        (
            "[notify]\nurl = 'https://hooks.example.org'",
            "trivet.toml:1: unknown setting 'notify'.",
            "There is: app, build, processes, deploys, config, release, schedule.",
        ),
        (
            "[deploys.production]\nport = 70000",
            "trivet.toml:2: port must be a number from 1 to 65535, not 70000.",
            "Write it like this: port = 8000",
        ),
        (
            "app = 'shop'\n[build]\ncommands = 'make'",
            "trivet.toml:3: commands must be a list of commands, not 'make'.",
            'Write it like this: commands = ["python manage.py collectstatic --noinput"]',
        ),
        (
            "[build]\nsource_distributions = 'psycopg2'",
            "trivet.toml:2: source_distributions must be true, or a list of packages, not 'psycopg2'.",
            'Write it like this: source_distributions = ["psycopg2"]',
        ),
        (
            "[build]\nsource_distributions = ['psycopg2 ==2']",
            "trivet.toml:2: source_distributions must be true, or a list of packages, not ['psycopg2 ==2'].",
            'Write it like this: source_distributions = ["psycopg2"]',
        ),
        (
            "[build]\nroot = 'shared'",
            "trivet.toml:2: root must be a folder above the app's, not 'shared'.",
            'Write it like this: root = ".."',
        ),
        (
            "[build]\ncollectstatic = 'no'",
            "trivet.toml:2: collectstatic must be true or false, not 'no'.",
            "Write it like this: collectstatic = true",
        ),
        (
            "processes = 3",
            "trivet.toml:1: processes must be a table, not 3.",
            "Write it like this: [processes]",
        ),
        (
            "[build.environment]\nA = 1",
            "trivet.toml:2: A must be text in quotes, not 1.",
            'Write it like this: A = "…"',
        ),
        (
            "[build.environment]\nPATH = '/x'",
            "trivet.toml:2: PATH is set by Trivet for every command of a build.",
            "Choose another name, or set it in the command itself.",
        ),
        (
            "[processes.web]\nhealth = { status = 200 }",
            "trivet.toml:2: health says no path.",
            'Write it like this: health = { path = "/health", status = 200 }',
        ),
        (
            "[processes.web]\noverlap = false",
            "trivet.toml:2: web overlaps, unless it inherits its socket: its old processes answer until the new ones do.",
            'Take the line out, or add: socket = "inherit"',
        ),
        (
            "[processes.web]\nhealth = { path = '/', status = 20 }",
            "trivet.toml:2: status must be a number from 100 to 599, not 20.",
            "Write it like this: status = 200",
        ),
        (
            "[processes.web]\nsocket = 'mine'",
            'trivet.toml:2: socket must be "port" or "inherit", not \'mine\'.',
            'Write it like this: socket = "inherit"',
        ),
        (
            "[processes.worker]\nsocket = 'inherit'",
            "trivet.toml:2: worker is not reached from outside, so it has no socket.",
            "Only web has: remove this line.",
        ),
        (
            "[processes.web.limits]\nmemory = '5 mb'",
            "trivet.toml:2: memory must be a size of 1 MB or more, in kB, MB, GB, KiB, MiB or GiB, not '5 mb'.",
            'Write it like this: memory = "512MB"',
        ),
        (
            "[processes.web.limits]\ncpu = 0",
            "trivet.toml:2: cpu must be a number of cores, 0.01 or more, not 0.",
            "Write it like this: cpu = 0.5",
        ),
        (
            "[processes.web.limits]\nfiles = 2",
            "trivet.toml:2: files must be a number from 16 to 1048576, not 2.",
            "Write it like this: files = 200",
        ),
        (
            "[processes.web.limits]\nmemry = '1GB'",
            "trivet.toml:2: unknown setting 'memry' in [processes.web.limits].",
            "Did you mean 'memory'?",
        ),
        (
            "[processes]\n[processes.'my web']\ngrace = 1",
            "trivet.toml:2: 'my web' is not a name for a process type.",
            "Use letters, digits, '-' and '_', starting with a letter, at most 40 characters.",
        ),
        ("a = [\n1,\n", "trivet.toml:2: invalid value.", None),
        ("app = 'x'\napp = 'y'", "trivet.toml:2: cannot overwrite a value.", None),
        ("app = 'x'\n\nwhat is this", "trivet.toml:3: expected '=' after a key in a key/value pair.", None),
    ],
)
def test_a_mistake_is_an_error_with_its_line_and_a_way_out(text: str, message: str, hint: str | None) -> None:
    with pytest.raises(InvalidFile) as caught:
        parse_settings(text)
    toml = "The file is TOML: text stands in quotes, lists in brackets. https://toml.io has the rules."
    assert (caught.value.message, caught.value.hint) == (message, hint or toml)


def test_an_app_name_that_is_none_is_an_error_with_its_line() -> None:
    with pytest.raises(InvalidFile, match=r"^trivet\.toml:2: 'My Shop' is not a name for an app\.$"):
        parse_settings("# the app\napp = 'My Shop'")


def test_a_dotted_key_is_found_in_its_line() -> None:
    with pytest.raises(InvalidFile, match=r"^trivet\.toml:2: health must be"):
        parse_settings("app = 'x'\nprocesses.web.health = 3")


def test_an_error_found_later_has_its_line_as_well() -> None:
    error = invalid_setting(WHOLE, ("processes", "worker"), "no.", "Do.")
    assert error.message == "trivet.toml:18: no."
