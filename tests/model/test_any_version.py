"""What another version of Trivet has written: what is not known of it is left out, and the rest is checked as ever."""

import json
from collections.abc import Mapping

import pytest

from trivet.errors import InvalidDocument
from trivet.model.any_version import from_any_version, read_any_version
from trivet.model.document import to_json, write_document
from trivet.model.names import AppName, Deploy, DeployName
from trivet.model.run import Address, Drain, Failure, Proof, RollOut, Serving

ROLL_OUT = RollOut(
    *(Deploy(AppName("shop"), DeployName("production")), 3, True),
    output=("a line",),
    address=Address("127.0.0.1", 8000),
    timings_s={"ready": 0.5},
    connections=Drain(1, 2),
    proof=Proof((Serving("web.1", 7, 9, by_socket=True), Serving("web.2", 8, 10)), (1, 2)),
)


def _with_more(data: object) -> object:
    """Every object has a field more, but for the mapping, whose keys are its own."""
    if isinstance(data, list):
        return [_with_more(item) for item in data]
    if not isinstance(data, dict) or "ready" in data:
        return data
    return {**{key: _with_more(item) for key, item in data.items()}, "more": {"x": [None]}}


def test_unknown_fields_are_left_out_at_every_depth() -> None:
    text = json.dumps(_with_more(to_json(ROLL_OUT)))
    assert text.count("more") == 7
    assert read_any_version(RollOut, text, name="it") == ROLL_OUT
    assert read_any_version(RollOut, write_document(ROLL_OUT), name="it") == ROLL_OUT
    assert from_any_version(Failure | None, None, name="it") is None  # type: ignore[arg-type]  # a type form


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"release": "3"}, "it.release cannot be read: int expected, str found."),
        ({"deploy": []}, "it.deploy cannot be read: an object expected."),
        ({"output": {"more": 1}}, "it.output cannot be read: a list expected."),
        ({"connections": 3}, "it.connections cannot be read: an object expected."),
        ({"proof": {"more": 1}}, "it.proof cannot be read: field 'serving' is missing."),
        ({"timings_s": {"more": "soon"}}, "it.timings_s.more cannot be read: float expected, str found."),
    ],
)
def test_what_is_known_is_checked_as_ever(changes: Mapping[str, object], why: str) -> None:
    with pytest.raises(InvalidDocument) as raised:
        from_any_version(RollOut, {**to_json(ROLL_OUT), **changes}, name="it")
    assert raised.value.message == why
