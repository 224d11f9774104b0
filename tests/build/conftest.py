"""A home and a builder of commits."""

from pathlib import Path

import pytest

from support.building import Builder
from support.repository import Repository
from trivet.model.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home."""
    return Home(tmp_path / "home")


@pytest.fixture
def builder(home: Home, repository: Repository) -> Builder:
    """Builds commits of the repository into the home."""
    return Builder(home, repository)
