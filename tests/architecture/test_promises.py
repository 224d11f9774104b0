"""What is promised to people: every command explains itself and is documented, every error says what to do."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import trivet.errors
from trivet.cli.main import trivet as root
from trivet.errors import TrivetError

DOCS = Path(trivet.__file__).parent.parent.parent / "docs"


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield " ".join((*path, name)), command
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))


COMMANDS = dict(_commands(root))
ERRORS = [kind for kind in vars(trivet.errors).values() if isinstance(kind, type) and issubclass(kind, TrivetError)]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    text = COMMANDS[name].help or ""
    assert "Examples:" in text
    assert f"trivet {name}" in text.split("Examples:")[1]


def test_the_list_of_commands_says_what_their_own_help_begins_with() -> None:
    text = root.get_help(click.Context(root, info_name="trivet", max_content_width=100))
    top = [name for name in COMMANDS if " " not in name]
    assert {name for name in top if f" {COMMANDS[name].get_short_help_str(80)}\n" not in f"{text}\n"} == set()


def test_every_command_stands_in_the_reference_as_it_is() -> None:
    reference = (DOCS / "reference" / "commands.md").read_text()
    made = subprocess.run(
        (sys.executable, DOCS.parent / "scripts" / "reference"), capture_output=True, text=True, check=True
    )
    assert {name for name in COMMANDS if f"### `trivet {name}" not in reference} == set()
    assert reference == made.stdout, "scripts/reference > docs/reference/commands.md"


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_stands_in_the_reference_with_its_exit_code(kind: type[TrivetError]) -> None:
    lines = (DOCS / "reference" / "errors.md").read_text().splitlines()
    row = next((line for line in lines if line.startswith(f"| `{kind.__name__}`")), None)
    assert row is not None
    assert f"| {kind.exit_code} |" in row


def test_an_error_cannot_be_raised_without_a_hint() -> None:
    with pytest.raises(TypeError, match="hint"):
        TrivetError("Something is wrong.")  # type: ignore[call-arg]


def test_every_command_is_listed_in_the_help_of_the_group() -> None:
    text = root.get_help(click.Context(root, info_name="trivet"))
    assert {name for name in root.commands if not re.search(rf"^  {name} ", text, re.M)} == set()
