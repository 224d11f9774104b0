"""The program that compiles a layer, run as the build runs it."""

import importlib.util
import os
import subprocess
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.building import Builder
from trivet.build import bytecode
from trivet.host.tree import read_tree

_WHY = "SyntaxError: invalid syntax\n\n"
_SHOP = {"Procfile": "web: python a.py\n", "requirements.txt": "", "a.py": "A = {'x', 'y'}\n", "b.py": "B = 2\n"}


def _compile(bundle: Path, earlier: Path | str = "/nonexistent", *, manner: str = "aloud") -> str:
    argv = (sys.executable, "-s", "-S", bytecode.__file__, bundle, bundle / "app", earlier, manner)
    ended = subprocess.run(argv, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "0"})
    assert ended.stderr == ""
    return ended.stdout


def _app(bundle: Path, files: Mapping[str, str]) -> Path:
    for name, content in files.items():
        path = bundle / "app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return bundle / "app"


def _bytecode(source: Path) -> Path:
    return Path(importlib.util.cache_from_source(str(source)))


def _mark(source: Path) -> bytes:
    """The bytecode of the source, told from any other by what stands behind it."""
    path = _bytecode(source)
    path.write_bytes(path.read_bytes() + b"marked")
    return path.read_bytes()


def test_what_is_compiled_is_imported_without_its_times_and_named_from_the_bundle(tmp_path: Path) -> None:
    app = _app(tmp_path, {"shop/__init__.py": "", "shop/a.py": "print(__file__, (lambda: 0).__code__.co_filename)\n"})
    assert _compile(tmp_path) == ""
    os.utime(app / "shop" / "a.py", (1, 1))
    argv = (sys.executable, "-v", "-c", "import shop.a")
    ended = subprocess.run(argv, cwd=app, capture_output=True, text=True, check=True)
    assert f"{_bytecode(app / 'shop' / 'a.py')} matches" in ended.stderr
    assert ended.stdout.split()[0] == str(app / "shop" / "a.py")
    assert b"app/shop/a.py" in _bytecode(app / "shop" / "a.py").read_bytes()


def test_bytecode_of_the_same_source_is_taken_from_the_earlier_build(tmp_path: Path) -> None:
    files = {"same.py": "A = 1\n", "changed.py": "B = 1\n", "deep/same.py": "C = 1\n"}
    earlier = _app(tmp_path / "one", files)
    _compile(tmp_path / "one")
    marked = {name: _mark(earlier / name) for name in files}
    app = _app(tmp_path / "two", {**files, "changed.py": "B = 2\n", "new.py": "D = 1\n"})
    _compile(tmp_path / "two", earlier)
    assert {name: _bytecode(app / name).read_bytes() == content for name, content in marked.items()} == {
        "same.py": True,
        "changed.py": False,
        "deep/same.py": True,
    }
    assert _bytecode(app / "new.py").is_file()


def test_files_that_were_compiled_together_are_taken_together_or_not_at_all(tmp_path: Path) -> None:
    together = _of_one_share()
    earlier = _app(tmp_path / "one", dict.fromkeys(together, "A = 1\n"))
    _compile(tmp_path / "one")
    marked = {name: _mark(earlier / name) for name in together}
    for folder, files in (
        ("changed", {**dict.fromkeys(together, "A = 1\n"), together[0]: "A = 2\n"}),
        ("removed", dict.fromkeys(together[1:], "A = 1\n")),
    ):
        app = _app(tmp_path / folder, files)
        _compile(tmp_path / folder, earlier)
        assert [name for name in files if _bytecode(app / name).read_bytes() == marked[name]] == []


def _of_one_share() -> list[str]:
    """Three files that one process compiles, by their paths alone."""
    names = [f"file_{number}.py" for number in range(300)]
    return [name for name in names if zlib.crc32(name.encode()) % 64 == 5][:3]


def test_bytecode_that_is_not_of_the_earlier_source_is_not_taken(tmp_path: Path) -> None:
    earlier = _app(tmp_path / "one", {"a.py": "A = 1\n", "b.py": "B = 1\n"})
    _compile(tmp_path / "one")
    _bytecode(earlier / "a.py").write_bytes(_bytecode(earlier / "b.py").read_bytes())
    _bytecode(earlier / "b.py").write_bytes(b"")
    for folder, place in (("fresh", "/nonexistent"), ("two", earlier)):
        _app(tmp_path / folder, {"a.py": "A = 1\n", "b.py": "B = 1\n"})
        _compile(tmp_path / folder, place)
    assert read_tree(tmp_path / "two").digest == read_tree(tmp_path / "fresh").digest


def test_bytecode_does_not_depend_on_what_else_there_is(tmp_path: Path) -> None:
    shared = "STATES = frozenset(('open', 'paid'))\nNUMBER = 123456789012345678901234567890\n"
    files = {f"{name}.py": f"{shared}NAME = '{name}'\n" for name in ("a", "b", "c")}
    together = _app(tmp_path / "together", files)
    _compile(tmp_path / "together")
    for name, content in files.items():
        alone = _app(tmp_path / name, {name: content})
        _compile(tmp_path / name)
        assert _bytecode(alone / name).read_bytes() == _bytecode(together / name).read_bytes()


@pytest.mark.parametrize(
    ("manner", "told"),
    [
        ("aloud", 'app/broken.py is no valid Python:   File "app/broken.py", line 1\n    def\n       ^\n' + _WHY),
        ("quietly", ""),
    ],
)
def test_a_file_that_is_no_python_is_told_and_has_no_bytecode(tmp_path: Path, manner: str, told: str) -> None:
    app = _app(tmp_path, {"broken.py": "def\n", "good.py": "A = 1\n"})
    _bytecode(app / "broken.py").parent.mkdir()
    _bytecode(app / "broken.py").write_bytes(b"planted by a build command")
    assert _compile(tmp_path, manner=manner) == told
    assert [path.name for path in app.rglob("*.pyc")] == [_bytecode(app / "good.py").name]


def test_a_program_keeps_its_mode_on_its_bytecode_taken_or_made(tmp_path: Path) -> None:
    for folder, earlier in (("one", "/nonexistent"), ("two", tmp_path / "one" / "app")):
        app = _app(tmp_path / folder, {"run.py": "A = 1\n"})
        (app / "run.py").chmod(0o755)
        _compile(tmp_path / folder, earlier)
    assert read_tree(tmp_path / "one").digest == read_tree(tmp_path / "two").digest


@pytest.mark.slow
def test_a_build_after_another_has_the_bytes_of_one_from_nothing(builder: Builder) -> None:
    builder.commit(_SHOP)
    after = builder.commit({"b.py": "B = 3\n"}).build
    again = builder.build(rebuild=True).build
    assert after.layers == again.layers


@pytest.mark.slow
def test_bytecode_that_was_altered_in_the_store_does_not_spread(builder: Builder) -> None:
    one = builder.commit(_SHOP).build
    path = next((builder.bundle(one) / "app").resolve().rglob("a.*.pyc"))
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"altered")
    two = builder.commit({"b.py": "B = 3\n"}).build
    assert not next((builder.bundle(two) / "app").resolve().rglob("a.*.pyc")).read_bytes().endswith(b"altered")
