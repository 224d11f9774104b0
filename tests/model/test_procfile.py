"""The Procfile's syntax: honcho's and Heroku's."""

import pytest

from trivet.errors import InvalidFile
from trivet.model.procfile import parse_procfile

HINT = (
    "A line is a name (letters, digits, '-' and '_', starting with a letter), ':' and a command, "
    "for example `web: gunicorn app:app --bind 127.0.0.1:$PORT`."
)


def test_process_types_come_in_the_order_of_the_file() -> None:
    assert list(parse_procfile("worker: python w.py\nweb: python a.py\n").items()) == [
        ("worker", "python w.py"),
        ("web", "python a.py"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "web: run",
        "web:run",
        "web : run",
        "  web:   run  ",
        "# a comment\n\nweb: run\n\n  # another\n",
        "\ufeffweb: run\n",
        "web: run\r\n\r\n",
    ],
)
def test_comments_blank_lines_windows_line_ends_and_spaces_do_not_matter(text: str) -> None:
    assert parse_procfile(text) == {"web": "run"}


def test_a_command_may_hold_colons_and_hashes() -> None:
    assert parse_procfile("web: A=1 run a:b # c | d: e") == {"web": "A=1 run a:b # c | d: e"}


def test_a_name_may_hold_dashes_underscores_and_capitals() -> None:
    assert list(parse_procfile("Celery-beat_2: run")) == ["Celery-beat_2"]


def test_an_empty_file_has_no_process_types() -> None:
    assert parse_procfile("# nothing\n") == {}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("web", "there is no ':' after the name 'web'"),
        ("web gunicorn app", "there is no ':' after the name 'web'"),
        ("web gunicorn app:app", "there is no ':' after the name 'web'"),
        ("web\tgunicorn app:app", "there is no ':' after the name 'web'"),
        ("web:", "the process type 'web' has no command"),
        ("web:   ", "the process type 'web' has no command"),
        ("my web: run", "there is no ':' after the name 'my'"),
        ("2web gunicorn app:app", "'2web' is not a name for a process type"),
        (": run", "'' is not a name for a process type"),
        ("web: run\0", "there is a NUL character in the line, which no command can hold"),
        ("2web: run", "'2web' is not a name for a process type"),
        (f"{'w' * 41}: run", f"'{'w' * 41}' is not a name for a process type"),
        ("wéb: run", "'wéb' is not a name for a process type"),
    ],
)
def test_an_unreadable_line_is_an_error_with_its_number(line: str, why: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        parse_procfile(f"# first\nrelease: run\n{line}\n")
    assert (caught.value.message, caught.value.hint) == (f"Procfile:3: {why}.", HINT)


def test_a_process_type_that_comes_twice_is_an_error() -> None:
    with pytest.raises(InvalidFile) as caught:
        parse_procfile("web: a\nweb: b\n")
    assert caught.value.message == "Procfile:2: there is a second process type called 'web'."
    assert caught.value.hint == "Give each process type its own name, or remove one of the two lines."
