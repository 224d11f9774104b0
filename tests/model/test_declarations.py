"""`[config]` in trivet.toml: what can be declared of a key, and what each mistake is told as."""

import pytest

from trivet.errors import InvalidFile
from trivet.model.declaration import Declaration, ValueType, fits
from trivet.model.settings import parse_settings

WHOLE = """
[config]
SENTRY_DSN = "optional"
TOKEN = "required"
SECRET_KEY = "generated"

[config.DATABASE_URL]
type = "url"
live = true
secret = true
description = "where the orders are kept"

[config.WORKERS]
type = "int"
default = 4

[config.DEBUG]
type = "bool"
default = false

[config.SALT]
generate = "secret"
secret = false

[config.REGION]
required = false
"""


def test_everything_that_can_be_declared_is_read() -> None:
    assert parse_settings(WHOLE).config == (
        Declaration("SENTRY_DSN", is_required=False),
        Declaration("TOKEN"),
        Declaration("SECRET_KEY", is_required=False, is_generated=True, secret=True),
        Declaration("DATABASE_URL", ValueType.URL, secret=True, live=True, description="where the orders are kept"),
        Declaration("WORKERS", ValueType.INT, is_required=False, default="4"),
        Declaration("DEBUG", ValueType.BOOL, is_required=False, default="false"),
        Declaration("SALT", is_required=False, is_generated=True),
        Declaration("REGION", is_required=False),
    )


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            '[config]\nTOKEN = "requird"',
            "trivet.toml:2: TOKEN is declared 'requird', which is no such word.",
            "Did you mean 'required'?",
        ),
        (
            "[config]\nTOKEN = true",
            "trivet.toml:2: TOKEN must be a word or a table, not true.",
            'Write it like this: TOKEN = "required", or [config.TOKEN]',
        ),
        (
            "[config.PORT]\nrequired = true",
            "trivet.toml:1: PORT is set by Trivet for every process and cannot be part of the config.",
            "Choose another name. docs/reference/environment.md lists what Trivet sets.",
        ),
        (
            "[config.'1A']\nrequired = true",
            "trivet.toml:1: '1A' is not a valid variable name.",
            "Use letters, digits and '_', not starting with a digit, for example DATABASE_URL.",
        ),
        (
            "[config.A]\nrequire = true",
            "trivet.toml:2: unknown setting 'require' in [config.A].",
            "Did you mean 'required'?",
        ),
        (
            '[config.A]\nrequired = "yes"',
            "trivet.toml:2: required must be true or false, not 'yes'.",
            "Write it like this: required = true",
        ),
        ('[config.A]\ntype = "uri"', "trivet.toml:2: 'uri' is no type of a value.", "Did you mean 'url'?"),
        (
            '[config.A]\ntype = "int"\ndefault = "many"',
            "trivet.toml:3: the default of A is not of its type, int.",
            "docs/reference/trivet-toml.md says what each type takes.",
        ),
        (
            "[config.A]\ndefault = ['x']",
            "trivet.toml:2: default must be text, a number, true or false, not ['x'].",
            'Write it like this: default = "…"',
        ),
        (
            '[config.A]\ngenerate = "uuid"',
            "trivet.toml:2: generate must be what is to be generated, not 'uuid'.",
            'Write it like this: generate = "secret"',
        ),
        (
            '[config.A]\ndefault = "x"\ngenerate = "secret"',
            "trivet.toml:3: A has a default, so no value is ever generated for it.",
            "Leave one of the two out.",
        ),
        (
            '[config.A]\ndefault = "x"\nrequired = true',
            "trivet.toml:3: A has a default, so it is never missing.",
            "Leave one of the two out.",
        ),
        (
            '[config.A]\nsecret = true\ndefault = "x"',
            "trivet.toml:3: A is a secret, and its default stands in the repository for everybody to read.",
            'Leave the default out, or have a value made: generate = "secret"',
        ),
        (
            '[config.A]\ngenerate = "secret"\ntype = "int"',
            "trivet.toml:3: A is generated, and what is generated is text.",
            "Leave one of the two out.",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidFile) as raised:
        parse_settings(text)
    assert (raised.value.message, raised.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("value_type", "good", "bad"),
    [
        (ValueType.TEXT, ["", "anything\nat all"], []),
        (ValueType.URL, ["postgres://u:p@db:5432/shop?x=1", "sqlite:///shop.db"], ["", "db/shop", "http:// x", "://x"]),
        (ValueType.INT, ["0", "-12", "+3"], ["", "1.5", "1e3", "four", "٣", "3\n"]),
        (ValueType.NUMBER, ["0", "-1.5", ".5", "1e3"], ["", "nan", "1,5", "."]),
        (ValueType.BOOL, ["true", "False", "on", "NO", "1"], ["", "2", "maybe"]),
        (ValueType.PORT, ["1", "65535"], ["0", "65536", "080", "-1"]),
        (ValueType.EMAIL, ["ada@example.org"], ["ada", "@x", "Ada <ada@example.org>"]),
        (ValueType.JSON, ["{}", "[1, 2]", '"x"'], ["", "{'a': 1}", "[" * 100_000]),
    ],
)
def test_a_type_says_which_values_it_takes(value_type: ValueType, good: list[str], bad: list[str]) -> None:
    assert [value for value in good if not fits(value, value_type)] == []
    assert [value for value in bad if fits(value, value_type)] == []
