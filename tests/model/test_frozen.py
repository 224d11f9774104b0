"""Frozen values: what `dataclass(frozen=True, slots=True)` makes, to whoever uses them."""

import dataclasses
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivet.model.frozen import frozen


@frozen
class _Ours:
    """One of each kind of field."""

    name: str
    secret: str = field(repr=False)
    count: int = 3
    values: Mapping[str, str] = field(default_factory=dict)
    note: str = field(default="none", compare=False)


@dataclass(frozen=True, slots=True)
class _Theirs:
    name: str
    secret: str = field(repr=False)
    count: int = 3
    values: Mapping[str, str] = field(default_factory=dict)
    note: str = field(default="none", compare=False)


@frozen
class _Nothing:
    """No field at all."""


_GIVEN = st.fixed_dictionaries(
    {"name": st.text(), "secret": st.text()},
    optional={"count": st.integers(), "values": st.dictionaries(st.text(), st.text()), "note": st.text()},
)


@given(_GIVEN, _GIVEN)
def test_they_hold_show_compare_and_change_as_a_frozen_dataclass_does(one: dict[str, str], two: dict[str, str]) -> None:
    first, second = _Ours(**one), _Ours(**two)  # type: ignore[arg-type]
    known, other = _Theirs(**one), _Theirs(**two)  # type: ignore[arg-type]
    assert dataclasses.asdict(first) == dataclasses.asdict(known)
    assert repr(first).removeprefix("_Ours") == repr(known).removeprefix("_Theirs")
    assert (first == second) == (known == other)
    assert first.__eq__(known) is NotImplemented
    assert (
        repr(dataclasses.replace(first, count=7))
        == repr(known).replace("_Theirs", "_Ours").replace(f"count={known.count},", "count=7,", 1)
        or "count=" in known.name
    )
    assert _Ours.__match_args__ == _Theirs.__match_args__


def test_they_cannot_be_changed() -> None:
    it = _Ours("a", "b")
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'name'"):
        it.name = "c"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'name'"):
        del it.name
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'other'"):
        it.other = 1  # type: ignore[attr-defined]
    assert not hasattr(it, "__dict__")


def test_equal_ones_are_one_key() -> None:
    assert {_Nothing(): 1}[_Nothing()] == 1
    assert hash(_Name("a")) == hash(_Name("a"))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(("a",), {}), ((), {"name": "a"}), (("a", "b", 1, {}, "", 5), {}), (("a", "b"), {"more": 1})],
)
def test_too_few_or_unknown_fields_are_a_type_error(arguments: tuple[str, ...], named: dict[str, str]) -> None:
    for _ in range(2):  # the first makes the initialiser, the second has it
        with pytest.raises(TypeError, match="__init__"):
            _Ours(*arguments, **named)  # type: ignore[arg-type]


def test_each_has_its_own_default() -> None:
    assert _Ours("a", "b").values is not _Ours("a", "b").values


def test_no_function_is_compiled_where_one_is_declared() -> None:
    code = (
        "import builtins; from trivet.model.frozen import frozen; compiled = []; whole = builtins.exec\n"
        "builtins.exec = lambda *given: (compiled.append(given[0]), whole(*given))[1]\n"
        "class Two:\n  a: int\n  b: int = 2\n"
        "Two = frozen(Two); before = len(compiled); Two(1); Two(2)\n"
        "print(before, len(compiled))"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert done.stdout == "0 1\n"


@frozen
class _Name:
    """One field alone."""

    text: str
