"""The marker of a schema, read from what tools print."""

import pytest

from trivet.model.schema import read_marker, schema_command

_DJANGO = "[X]  contenttypes.0001_initial\n[X]  shop.0001_initial\n[ ]  shop.0002_orders\n"


@pytest.mark.parametrize(
    ("schema", "printed", "marker"),
    [
        ("alembic", "ae1027a6acf (head)\n", "ae1027a6acf"),
        ("alembic", "ae1027a6acf\n", "ae1027a6acf"),
        ("alembic", "b2 (head)\na1 (head)\n", "a1 b2"),
        ("alembic", "", "base"),
        ("django", "[ ]  shop.0001_initial\n", "none"),
        ("rails", "Current version: 20240229101500\n", "20240229101500"),
        ("rails", "\ndatabase: shop_production\nCurrent version: 20240229101500\n\n", "20240229101500"),
        ("rails", "Could not connect\n", None),
        ("cat version", " 7 \n of 9\n", "7 of 9"),
        ("cat version", " \n", None),
        ("cat version", "x" * 200, "x" * 200),
    ],
)
def test_a_marker_is_what_the_tool_says_of_the_database(schema: str, printed: str, marker: str | None) -> None:
    assert read_marker(schema, printed) == marker


def test_djangos_marker_names_the_last_migration_and_stands_for_all() -> None:
    first, both = read_marker("django", _DJANGO), read_marker("django", _DJANGO.replace("[ ]", "[X]"))
    assert first is not None
    assert both is not None
    assert first.startswith("shop.0001_initial (2 applied, ")
    assert both.startswith("shop.0002_orders (3 applied, ")
    assert read_marker("django", _DJANGO.replace("contenttypes", "sessions")) != first


def test_a_long_marker_becomes_its_digest() -> None:
    marker = read_marker("cat versions", "x" * 201)
    assert marker is not None
    assert marker.startswith("sha256:")
    assert marker != read_marker("cat versions", "y" * 201)


def test_what_is_no_tool_is_a_command() -> None:
    assert schema_command("alembic") == "alembic current"
    assert schema_command("psql -tc 'select 1'") == "psql -tc 'select 1'"
