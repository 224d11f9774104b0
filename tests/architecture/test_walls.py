"""The walls between rooms: import-linter's contracts, and what it cannot see."""

import ast
import fnmatch
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import trivet

PACKAGE = Path(trivet.__file__).parent
ROOT = PACKAGE.parent.parent
TESTS = ROOT / "tests"
MODULES = sorted(PACKAGE.rglob("*.py"))


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        (Path(sys.executable).parent / "lint-imports", "--no-cache"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_run_stage_imports_the_standard_library_alone() -> None:
    reached = set(_reach("trivet.run")) | {
        name for path in (PACKAGE / "run").rglob("*.py") for name in _reach(_module_name(path))
    }
    foreign = {name for name in reached if name.split(".")[0] not in sys.stdlib_module_names | {"trivet"}}
    assert foreign == set()
    assert "trivet.host.sandbox" in reached


def test_the_run_stage_opens_no_database_and_starts_no_subprocess_module() -> None:
    daemon = set(_reach("trivet.run.__main__")) | set(_reach("trivet.run.door.__main__"))
    assert daemon & {"sqlite3", "subprocess", "asyncio", "http.client", "ssl", "tomllib"} == set()


@pytest.mark.parametrize("module", ["trivet.run", "trivet.run.engines.machine", "trivet.run.supervisor"])
def test_the_run_stage_starts_isolated_and_without_site_packages(module: str) -> None:
    code = f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r}); import {module}"
    done = subprocess.run((sys.executable, "-I", "-S", "-c", code), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


_RUN_BY_THE_APPS_PYTHON = Path("build/bytecode.py")  # in a step of its own, confined like any other


def test_only_host_starts_processes() -> None:
    guilty = [
        f"{path.relative_to(PACKAGE)}: {call}"
        for path in MODULES
        if "host" not in path.relative_to(PACKAGE).parts and path.relative_to(PACKAGE) != _RUN_BY_THE_APPS_PYTHON
        for call in re.findall(
            r"\bos\.(?:fork|forkpty|exec\w+|spawn\w+|posix_spawn\w*|system|popen)\b", path.read_text()
        )
    ]
    assert guilty == []


def test_each_table_has_one_writer() -> None:
    writers: dict[str, set[str]] = {}
    pattern = r"(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM|CREATE TABLE(?: IF NOT EXISTS)?)\s+([a-z_]+)[\s(]"
    for path in MODULES:
        for table in re.findall(pattern, path.read_text()):
            writers.setdefault(table, set()).add(path.relative_to(PACKAGE).parts[0])
    assert {"ledger", "builds"} <= set(writers)
    assert {table: rooms for table, rooms in writers.items() if len(rooms) > 1} == {}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_is_one_noun_and_a_function_fits_a_screen(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    long = [node.name for node in functions if (node.end_lineno or 0) - node.body[0].lineno >= 50]
    assert long == []


def _reach(name: str) -> Iterator[str]:
    """Every module that a module imports, at its top or inside a function, followed through our own."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        path = _find(current)
        if path is not None:
            waiting.extend(_imports(path))
            waiting.extend(".".join(current.split(".")[:depth]) for depth in range(1, current.count(".") + 1))
    yield from seen


@functools.cache
def _imports(path: Path) -> tuple[str, ...]:
    """Read once a module: it is reached from hundreds."""
    return tuple(_read_imports(path))


def _read_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{a.name}" for a in node.names if _find(f"{node.module}.{a.name}") is not None)


def _find(name: str) -> Path | None:
    base = PACKAGE.parent.joinpath(*name.split("."))
    return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)


def _module_name(path: Path) -> str:
    relative = path.relative_to(PACKAGE.parent).with_suffix("")
    return ".".join(part for part in relative.parts if part != "__init__")


def test_values_are_declared_with_our_own_word() -> None:
    guilty = [path for path in MODULES if "@dataclass(frozen=True, slots=True)" in path.read_text()]
    assert guilty == [], "use trivet.model.frozen: every command loads these classes (docs/decisions/0030)"


def test_every_file_of_tests_is_collected(pytestconfig: pytest.Config) -> None:
    folders = {part for path in TESTS.rglob("test_*.py") for part in path.relative_to(TESTS).parent.parts}
    passed_over = pytestconfig.getini("norecursedirs")
    assert [name for name in folders if any(fnmatch.fnmatch(name, pattern) for pattern in passed_over)] == []
