"""A second installation of Trivet: its source at a place of its own, with a version of its own."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import trivet

_SOURCE = Path(trivet.__file__).parent


def install(folder: Path, version: str, changes: Mapping[str, str] | None = None) -> Path:
    """What to put on PYTHONPATH for it; `changes` are texts that are put behind the modules of these names."""
    package = folder / "trivet"
    shutil.copytree(_SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
    set_version(folder, version)
    for name, text in (changes or {}).items():
        module = package / name
        module.write_text(module.read_text() + text)
    return folder


def set_version(folder: Path, version: str, before: str = trivet.__version__) -> None:
    """The installation is of this version from here on, as when it is upgraded where it lies."""
    begin = folder / "trivet" / "__init__.py"
    begin.write_text(begin.read_text().replace(f'"{before}"', f'"{version}"'))
