"""Text of others, made fit for a terminal and for UTF-8."""

import pytest

from trivet.model.text import encodable, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Größe\t12 ✓ 👍🏽", "Größe\t12 ✓ 👍🏽"),
        ("\x1b[1;31mred\x1b[0m \x1b[38;2;1;2;3mtrue\x1b[K", "red true"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "alink"),
        ("\x1bPdevice\x1b\\a\x1bcb\x1b(Bc", "abc"),
        ("never ended \x1b]0;title", "never ended 0;title"),
        ("one\ntwo\rthree\x00\x07\x08\x7f\x85", "onetwothree"),
        ("safe\u202e.exe\u2066", "safe.exe"),
        ("caf\udce9", "caf\ufffd"),
    ],
)
def test_a_terminal_finds_nothing_to_obey(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_many_unfinished_sequences_take_no_longer_than_their_length() -> None:
    assert plain("\x1b]" * 200_000) == ""
    assert plain("\x1b[0" * 200_000) == "0" * 200_000


def test_bytes_that_are_no_text_are_replaced_and_nothing_else() -> None:
    assert encodable("/srv/caf\udce9/\x1b[0m") == "/srv/caf\ufffd/\x1b[0m"
