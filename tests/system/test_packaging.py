"""`pip install .` gives a `trivet` that works, with everything it needs in it."""

import subprocess
import sys
from pathlib import Path

import pytest

import trivet as package

ROOT = Path(package.__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.fetches
def test_an_installed_trivet_has_all_its_files(tmp_path: Path) -> None:
    subprocess.run((sys.executable, "-m", "venv", tmp_path / "venv"), check=True)
    pip = tmp_path / "venv" / "bin" / "pip"
    source = tmp_path / "source"
    subprocess.run(("git", "clone", "--quiet", "--no-hardlinks", ROOT, source), check=True)
    subprocess.run((pip, "install", "--quiet", "--disable-pip-version-check", source), check=True, capture_output=True)
    command = tmp_path / "venv" / "bin" / "trivet"
    said = subprocess.run((command, "--version"), check=True, capture_output=True, text=True, cwd=tmp_path)
    assert said.stdout == f"trivet, version {package.__version__}\n"
    (installed,) = (tmp_path / "venv" / "lib").glob("python3.*/site-packages/trivet")
    tracked = subprocess.run(
        ("git", "ls-files"), cwd=source / "src" / "trivet", check=True, capture_output=True, text=True
    )
    missing = [name for name in tracked.stdout.split() if not (installed / name).exists()]
    assert missing == []
