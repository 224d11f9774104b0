"""What the supervisor has in the place of modules that it leaves out does as they do."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trivet.model.run import ProcessState
from trivet.run import plain, records
from trivet.run.supervisor.status import Status

_SOURCE = str(Path(__file__).parents[2] / "src")


def _lean(code: str) -> "subprocess.CompletedProcess[str]":
    start = f"import sys; sys.path.insert(0, {_SOURCE!r})\nfrom trivet.run import lean; lean.leave_out()\n"
    argv = (sys.executable, "-I", "-S", "-OO", "-c", start + code)
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, env={"LC_ALL": "C", "PATH": os.defpath})


def test_signals_have_their_usual_names() -> None:
    names = plain.SIGNAL["Signals"]
    assert callable(names)
    for number in signal.Signals:
        assert names(int(number)).name == signal.Signals(number).name
    with pytest.raises(ValueError, match="99"):
        names(99)


def test_a_record_is_made_compared_and_changed_as_a_dataclass_is() -> None:
    @records.dataclass(frozen=True, slots=True, order=True)
    class Plain:
        name: str
        count: int = 2
        more: tuple[int, ...] = records.field(default_factory=tuple)  # type: ignore[assignment]
        note: str = records.field(default="", compare=False)  # type: ignore[assignment]

        @property
        def shout(self) -> str:
            return self.name.upper()

    @dataclasses.dataclass(frozen=True, slots=True, order=True)
    class Whole:
        name: str
        count: int = 2
        more: tuple[int, ...] = dataclasses.field(default_factory=tuple)
        note: str = dataclasses.field(default="", compare=False)

        @property
        def shout(self) -> str:
            return self.name.upper()

    both: tuple[tuple[Any, Any], ...] = ((Plain, records.replace), (Whole, dataclasses.replace))
    for kind, replace in both:
        a, b = kind("a"), kind("b", more=(1,))
        assert (a.name, a.count, a.more, a.shout) == ("a", 2, (), "A")
        assert a == kind(name="a", count=2, note="which does not count")
        assert a != b
        assert a != ("a", 2, ())
        assert a < b
        assert not a > b
        assert len({a, kind("a", note="n"), b}) == 2
        assert replace(a, name="b", more=(1,)) == b
        for wrong in ({}, {"name": "a", "nothing": 1}):
            with pytest.raises(TypeError):
                kind(**wrong)
        with pytest.raises(TypeError):
            kind("a", 1, (), "", 4)
        with pytest.raises(TypeError):
            kind("a", name="b")
        with pytest.raises(TypeError):
            replace(a, nothing=1)
        with pytest.raises((AttributeError, TypeError)):
            a.nothing = 1


def test_documents_are_the_same_in_a_lean_process() -> None:
    status = Status(3, "web.1", 0, ProcessState.RUNNING, 5000, "boot", 1.5, last_exit='"pid":-1 ü')
    done = _lean(
        "from trivet.model.document import canonical, read_document\n"
        "from trivet.run.supervisor.status import Status\n"
        f"text = {json.dumps(_canonical(status))}\n"
        "read = read_document(Status, text, name='x')\n"
        "sys.stdout.buffer.write((canonical(read) + repr((read.state is read.state.RUNNING, read.name))).encode())"
    )
    assert done.stdout == _canonical(status) + "(True, 'v3.web.1')"
    assert done.stderr == ""


_FIELDS = """
import json, trivet.run.supervisor.daemon
kinds = {k for m in list(sys.modules.values()) for k in list(vars(m).values()) if isinstance(k, type)}
print(json.dumps({
    k.__module__ + "." + k.__qualname__: [(name, each.compare) for name, each in k.__dataclass_fields__.items()]
    for k in sorted(kinds, key=lambda k: k.__module__ + k.__qualname__)
    if k.__module__.startswith("trivet.") and hasattr(k, "__dataclass_fields__")
}))
"""


def test_every_value_has_the_same_fields_in_a_lean_process_and_is_compared_by_the_same() -> None:
    whole = subprocess.run(
        (sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {_SOURCE!r})\n{_FIELDS}"),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lean = json.loads(_lean(_FIELDS).stdout)
    known = json.loads(whole.stdout)
    assert lean == {name: known[name] for name in lean}
    assert ["proxy_protocol", False] in lean["trivet.model.run.Address"]


def test_an_error_is_told_with_the_lines_that_led_to_it() -> None:
    done = _lean(
        "from pathlib import Path\n"
        "from trivet.errors import InvalidDocument\n"
        "from trivet.model.document import read_document\n"
        "from trivet.run.supervisor.status import Status\n"
        "read_document(Status, '{', name='x')\n"
    )
    source = Path(_SOURCE, "trivet/model/document.py").read_text().splitlines()
    told = [each for each in done.stderr.splitlines() if "document.py" in each]
    lines = [source[int(each.split("line ")[1].split(",")[0]) - 1].strip() for each in told]
    assert any("json.loads(" in each for each in lines)
    assert any(each.startswith("raise ") for each in lines)
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert "\nwhich led to:\n" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("InvalidDocument: x ")
    assert done.returncode == 1


def _canonical(status: Status) -> str:
    return json.dumps(
        {**dataclasses.asdict(status), "state": "running"}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
